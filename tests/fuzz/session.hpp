#pragma once
// Lines of any bytes as the records of one source's session: every event must be writable, and the session's state must
// survive saving and restoring.
#include <cstdlib>
#include <string>

#include "exchanges/router.hpp"
#include "padded.hpp"
#include "wire/json.hpp"

namespace mp {

class FuzzedSession {
 public:
  explicit FuzzedSession(Source where) : source_(std::move(where)) {}

  void feed(RecordKind kind, std::string_view url, std::string_view text) {
    const Padded payload(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
    RawRecord record;
    record.kind = kind;
    record.connection = kind == RecordKind::rest ? 0 : 1 + static_cast<ConnectionId>(text.size() % 2);
    record.source = &source_;
    record.received_at = wall_from_nanos(clock_ += 20'000'000);
    record.status = 200;
    record.url = url;
    record.payload = payload.view();
    router_.route(record, {}, MonoTime{}, [this](const Source&, Outbox& out, auto) {
      for (const auto& event : out.events) {
        json_.clear();
        wire::append_json(json_, event);
      }
    });
  }

  // "-" closes a connection, ">…" is a frame that was sent, "!" another beginning; "address answer" is an answer by
  // REST, `rest` before the address; all else is a frame.
  void feed_lines(std::string_view text, const std::string& rest) {
    while (!text.empty()) {
      const auto end = std::min(text.find('\n'), text.size());
      const auto line = text.substr(0, end);
      const auto space = line.find(' ');
      const auto address = line.substr(0, std::min(space, line.size()));
      if (line == "-")
        feed(RecordKind::closed, "", line);
      else if (line == "!")
        feed(RecordKind::start, "", "");
      else if (line.starts_with('>'))
        feed(RecordKind::sent, "", line.substr(1));
      else if (space != std::string_view::npos && address.find_first_of("{[\"") == std::string_view::npos)
        feed(RecordKind::rest, rest + std::string(address), line.substr(space + 1));
      else
        feed(RecordKind::text, "", line);
      text.remove_prefix(std::min(end + 1, text.size()));
    }
  }

  void save_and_restore() const {
    std::string saved;
    router_.save(saved);
    FuzzedSession fresh(source_);
    std::string again;
    if (!fresh.router_.restore(saved)) std::abort();
    fresh.router_.save(again);
    if (again != saved) std::abort();
  }

 private:
  Source source_;
  Router router_{[](const Source& each) {
    SessionOptions options;
    options.source = each;
    options.max_clock_distance = std::chrono::hours{0};
    options.conversing = false;
    return options;
  }};
  std::int64_t clock_ = 1'790'000'000'000'000'000;
  std::string json_;
};

}  // namespace mp
