#include "engine/sessions.hpp"

#include <fmt/format.h>

namespace mp::engine {

SessionLease::SessionLease(SessionTable& table, std::string id, std::shared_ptr<Session> session,
                           const SessionRequest& request)
    : table_(&table),
      id_(std::move(id)),
      session_(std::move(session)),
      timeout_(request.timeout),
      close_(request.close_afterwards) {}

SessionLease& SessionLease::operator=(SessionLease&& other) noexcept {
  release();
  table_ = std::exchange(other.table_, nullptr);
  id_ = std::move(other.id_);
  session_ = std::move(other.session_);
  timeout_ = other.timeout_;
  close_ = other.close_;
  return *this;
}

void SessionLease::release() {
  if (table_ == nullptr) return;
  session_.reset();
  std::exchange(table_, nullptr)->release(id_, timeout_, close_);
}

SessionTable::SessionTable(Connect connect, std::size_t max_sessions)
    : connect_(std::move(connect)), max_sessions_(max_sessions), expirer_([this] { expire_loop(); }) {}

SessionTable::~SessionTable() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  expirer_.join();
}

EngineResult<SessionLease> SessionTable::acquire(const std::string& user, const SessionRequest& request) {
  // Another user's session of the same name is another session.
  std::string id = user + '\n' + request.id;
  const std::lock_guard lock(mutex_);
  auto found = entries_.find(id);
  if (found != entries_.end() && !found->second.locked && found->second.expires <= std::chrono::steady_clock::now()) {
    entries_.erase(found);
    found = entries_.end();
  }
  if (found != entries_.end()) {
    if (found->second.locked) {
      return make_error(Code::session_is_locked,
                        fmt::format("Session {} is locked by a concurrent client", request.id));
    }
    found->second.locked = true;
    return SessionLease(*this, std::move(id), found->second.session, request);
  }
  if (request.must_exist) return make_error(Code::session_not_found, fmt::format("Session {} not found", request.id));
  if (entries_.size() >= max_sessions_) {
    return make_error(Code::too_many_simultaneous_queries,
                      fmt::format("Too many HTTP sessions. Maximum: {}", max_sessions_));
  }
  auto connection = connect_();
  if (!connection) return connection.error();
  auto session = std::make_shared<Session>(Session{std::move(*connection), {}});
  entries_[id] = Entry{session, true, {}};
  return SessionLease(*this, std::move(id), std::move(session), request);
}

std::size_t SessionTable::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

void SessionTable::release(const std::string& id, std::chrono::seconds timeout, bool close) {
  std::shared_ptr<Session> closing;  // dies outside the lock
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(id);
    if (found == entries_.end()) return;
    if (close) {
      closing = std::move(found->second.session);
      entries_.erase(found);
    } else {
      found->second.locked = false;
      found->second.expires = std::chrono::steady_clock::now() + timeout;
    }
  }
  wake_.notify_all();
}

void SessionTable::take_expired(std::vector<std::shared_ptr<Session>>& out) {
  const auto now = std::chrono::steady_clock::now();
  for (auto it = entries_.begin(); it != entries_.end();) {
    const auto next = std::next(it);
    if (!it->second.locked && it->second.expires <= now) {
      out.push_back(std::move(it->second.session));
      entries_.erase(it);
    }
    it = next;
  }
}

void SessionTable::expire_loop() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    wake_.wait_for(lock, std::chrono::seconds(1));
    std::vector<std::shared_ptr<Session>> expired;
    take_expired(expired);
    lock.unlock();
    expired.clear();  // closing a connection takes a moment: not under the lock
    lock.lock();
  }
}

}  // namespace mp::engine
