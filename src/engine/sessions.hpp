#pragma once
// HTTP sessions: a connection of the engine that lives on between requests and serves one request
// at a time.

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "engine/engine.hpp"
#include "engine/query_request.hpp"

namespace mp::engine {

// What a request laid over its session for the length of one statement, and how to take it off
// again.
struct Overlay {
  NameValues settings;
  std::string database;
  NameValues undo_settings;  // value as it was; "" with DEFAULT in undo_to_default
  std::vector<std::string> undo_to_default;
  std::string undo_database;
  bool empty() const { return settings.empty() && database.empty(); }
};

struct Session {
  Connection connection;
  Overlay overlay;
};

class SessionTable;

// Holds a session's lock. Others get 373 until it is gone, whatever becomes of the client.
class SessionLease {
 public:
  SessionLease() = default;
  SessionLease(SessionTable& table, std::string id, std::shared_ptr<Session> session, const SessionRequest& request);
  SessionLease(SessionLease&& other) noexcept { *this = std::move(other); }
  SessionLease& operator=(SessionLease&& other) noexcept;
  ~SessionLease() { release(); }
  Session* session() const { return session_.get(); }
  // Gives the lock back before the answer's last byte, so that a client that has its answer finds
  // the session free.
  void release();

 private:
  SessionTable* table_ = nullptr;
  std::string id_;
  std::shared_ptr<Session> session_;
  std::chrono::seconds timeout_{};
  bool close_ = false;
};

// Bounded: one session more than `max_sessions` is refused (code 202). Expired ones are closed by a
// thread of its own.
class SessionTable {
 public:
  using Connect = std::function<EngineResult<Connection>()>;
  SessionTable(Connect connect, std::size_t max_sessions);
  ~SessionTable();  // every lease must be gone

  // 372 when it must exist and does not, 373 while another request holds it.
  EngineResult<SessionLease> acquire(const std::string& user, const SessionRequest& request);
  std::size_t size() const;

 private:
  friend class SessionLease;
  struct Entry {
    std::shared_ptr<Session> session;
    bool locked = false;
    std::chrono::steady_clock::time_point expires{};
  };
  void release(const std::string& id, std::chrono::seconds timeout, bool close);
  void expire_loop();
  void take_expired(std::vector<std::shared_ptr<Session>>& out);

  Connect connect_;
  std::size_t max_sessions_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::string, Entry> entries_;
  bool stopping_ = false;
  // Declared last: joins before what it uses dies.
  std::thread expirer_;
};

}  // namespace mp::engine
