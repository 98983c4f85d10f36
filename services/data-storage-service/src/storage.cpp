#include "data-storage-service/src/storage.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include "base/log.hpp"
#include "base/text.hpp"
#include "data-storage-service/src/keeper.hpp"
#include "data-storage-service/src/tiers.hpp"
#include "data-storage-service/src/worker.hpp"
#include "net/clock.hpp"
#include "telemetry/endpoints.hpp"

namespace mp::storage {
namespace {

using namespace std::chrono_literals;

// How old the consumers' state in an answer of /health may be.
constexpr auto kFresh = 200ms;

Result<std::string> schema_text(const std::string& file) {
  if (file.empty()) return std::string(built_in_schema());
  std::ifstream in{file};
  if (!in) return Error{Errc::usage, "storage.schema_file", "cannot read " + file};
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string json_string(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

// One data type's part of /health.
std::string json_of(const WorkerStatus& status, const ConsumerBacklog* backlog, MonoTime now) {
  std::string out = fmt::format(R"({{"state":"{}")", to_string(status.state));
  if (!status.trouble.empty()) out += R"(,"trouble":)" + json_string(status.trouble);
  if (backlog != nullptr)
    out += fmt::format(R"(,"pending":{},"unacknowledged":{})", backlog->pending, backlog->unacknowledged);
  out += fmt::format(R"(,"rows":{},"rejected":{},"rows_held":{})", status.rows, status.rejected, status.rows_held);
  if (status.held_since)
    out +=
        fmt::format(R"(,"held_for_seconds":{:.3f})", std::chrono::duration<double>(now - *status.held_since).count());
  if (status.last_insert)
    out += fmt::format(R"(,"last_insert_age_seconds":{:.3f})",
                       std::chrono::duration<double>(now - *status.last_insert).count());
  return out + "}";
}

class Service final : public Storage {
 public:
  Service(StorageOptions options, sinks::clickhouse::Schema schema)
      : options_(std::move(options)),
        bus_(options_),
        schema_(options_, std::move(schema)),
        foreign_(options_, metrics_),
        keeper_(options_, bus_, metrics_, [this] { return losses_are_known(); }),
        tiers_(options_, bus_, schema_, metrics_) {
    telemetry::add_process_metrics(metrics_, "storage");
    for (const auto& [type, limits] : options_.batches)
      workers_.push_back(std::make_unique<Worker>(options_, type, bus_, schema_, foreign_, metrics_));
  }
  ~Service() override { stop(); }

  Result<void> start_all() {
    auto endpoints = telemetry::Endpoints::start(
        {.health_listen = options_.health_listen, .metrics_listen = options_.metrics_listen}, metrics_, [this] {
          const auto h = health();
          return telemetry::HealthReport{h.healthy, h.json};
        });
    if (!endpoints) return endpoints.error();
    endpoints_ = std::move(*endpoints);
    for (auto& worker : workers_) threads_.emplace_back([w = worker.get()](std::stop_token stop) { w->run(stop); });
    threads_.emplace_back([this](std::stop_token stop) { keeper_.run(stop); });
    if (tiers_are_on(options_)) threads_.emplace_back([this](std::stop_token stop) { tiers_.run(stop); });
    return {};
  }

  void stop() override {
    for (auto& thread : threads_) thread.request_stop();
    threads_.clear();  // joins
    if (endpoints_) endpoints_->stop();
  }

  void set_batches(const std::map<DataType, sinks::clickhouse::BatchLimits>& batches) override {
    for (auto& worker : workers_) worker->set_limits(batches.at(worker->type()));
  }

  Health health() override {
    const auto backlog = keeper_.backlog(kFresh);
    const auto now = net::now().mono;
    Health out;
    out.healthy = backlog.has_value();
    bool is_idle = true;
    std::uint64_t pending = 0, unacknowledged = 0;
    std::string types;
    for (const auto& worker : workers_) {
      const auto status = worker->status();
      const ConsumerBacklog* consumer = nullptr;
      if (backlog) consumer = &backlog->consumers.at(worker->type());
      if (consumer != nullptr) {
        pending += consumer->pending;
        unacknowledged += consumer->unacknowledged;
      }
      out.healthy = out.healthy && status.state == WorkerState::running;
      is_idle = is_idle && status.rows_held == 0;
      types += fmt::format(R"({}"{}":{})", types.empty() ? "" : ",", to_string(worker->type()),
                           json_of(status, consumer, now));
    }
    std::string problem = foreign_.problem(now);
    if (problem.empty() && tiers_are_on(options_)) problem = tiers_.problem();
    out.healthy = out.healthy && problem.empty();
    out.drained = backlog && backlog->drained() && is_idle;
    out.json = fmt::format(
        R"({{"status":"{}","drained":{},"database":{},"stream":{},"data_source":"{}","pending":{},"unacknowledged":{})",
        out.healthy ? "healthy" : "unhealthy", out.drained, json_string(options_.database),
        json_string(options_.stream.name), to_string(options_.data_source), pending, unacknowledged);
    // As it was started, not as a file says now: what runs is judged by it.
    out.json +=
        fmt::format(R"(,"hot_ttl_days":{},"nats_max_bytes":{})",
                    options_.hot_ttl ? std::chrono::duration_cast<std::chrono::days>(*options_.hot_ttl).count() : 0,
                    options_.stream.max_bytes);
    if (!problem.empty()) out.json += R"(,"problem":)" + json_string(problem);
    std::string foreign;
    for (const auto& [source, rows] : foreign_.counts())
      foreign += fmt::format(R"({}"{}":{})", foreign.empty() ? "" : ",", to_string(source), rows);
    out.json += R"(,"foreign_rows":{)" + foreign + "}";
    if (backlog) {
      out.json += fmt::format(
          R"(,"stream_messages":{},"stream_first_sequence":{},"stream_last_sequence":{},"stream_full_percent":{})",
          backlog->stream.messages, backlog->stream.first_sequence, backlog->stream.last_sequence,
          fill_percent(backlog->stream));
    }
    if (tiers_are_on(options_)) out.json += R"(,"tiers":)" + tier_json(tiers_.status());
    out.json += R"(,"data_types":{)" + types + "}}";
    return out;
  }

  std::string health_address() const override { return endpoints_->health_address(); }
  std::string metrics_address() const override { return endpoints_->metrics_address(); }

 private:
  bool losses_are_known() const {
    return std::all_of(workers_.begin(), workers_.end(),
                       [](const auto& worker) { return worker->status().looked_for_losses; });
  }

  const StorageOptions options_;
  telemetry::Metrics metrics_;
  Bus bus_;
  Schema schema_;
  ForeignRows foreign_;
  Keeper keeper_;
  TierMover tiers_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<telemetry::Endpoints> endpoints_;
  // Declared last: the threads end before what they use.
  std::vector<std::jthread> threads_;
};

}  // namespace

Result<sinks::clickhouse::Schema> schema_of(const StorageOptions& o) {
  const auto text = schema_text(o.schema_file);
  if (!text) return text.error();
  std::optional<int> days;
  if (o.hot_ttl) days = static_cast<int>(std::chrono::duration_cast<std::chrono::days>(*o.hot_ttl).count());
  return sinks::clickhouse::schema_for(*text, {o.database, o.cold_database, days});
}

Result<std::unique_ptr<Storage>> Storage::start(StorageOptions options) {
  auto schema = schema_of(options);
  if (!schema) return schema.error();
  if (const auto tables = sinks::clickhouse::schema_tables(schema->statements); !tables) return tables.error();
  auto service = std::make_unique<Service>(std::move(options), std::move(*schema));
  if (auto started = service->start_all(); !started) return started.error();
  return std::unique_ptr<Storage>(std::move(service));
}

}  // namespace mp::storage
