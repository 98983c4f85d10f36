#include "data-storage-service/src/state_log.hpp"

namespace mp::storage {

const char* to_string(WorkerState state) {
  switch (state) {
    case WorkerState::waiting_for_nats: return "waiting_for_nats";
    case WorkerState::waiting_for_lease: return "waiting_for_lease";
    case WorkerState::waiting_for_clickhouse: return "waiting_for_clickhouse";
    case WorkerState::running: return "running";
    case WorkerState::failing: return "failing";
    case WorkerState::stopped: return "stopped";
  }
  return "?";
}

std::optional<StateLog::Line> StateLog::see(WorkerState state, const std::string& trouble, MonoTime now) {
  if (seen_ != state) ++unsaid_;
  seen_ = state;
  const bool is_news = told_ != state;
  if (!is_news && trouble == told_trouble_) return std::nullopt;
  while (!lines_.empty() && now - lines_.front() >= kWindow) lines_.pop_front();
  const std::size_t allowed = is_news ? kLines : 1;
  if (lines_.size() >= allowed && state != WorkerState::stopped) return std::nullopt;
  const Line line{told_, unsaid_ > 0 ? unsaid_ - 1 : 0};
  told_ = state;
  told_trouble_ = trouble;
  unsaid_ = 0;
  lines_.push_back(now);
  return line;
}

}  // namespace mp::storage
