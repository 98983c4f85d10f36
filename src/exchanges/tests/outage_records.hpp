#pragma once
// A script of records for a session that only listens to them, and the gaps that it tells: for the tests of outages of
// each venue, which add what their frames look like.

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "exchanges/exchange.hpp"
#include "exchanges/tests/padded_text.hpp"
#include "feed/session.hpp"
#include "feed/session_options.hpp"

namespace mp {

// One record after the other, as the journal would have them; times are since `start`. `Self`: the venue's own, derived
// from this.
template <class Self>
class OutageRecords {
 public:
  using Step = std::function<void(Session&, Outbox&)>;

  // `exchange`: the venue. `url`: of its connections.
  OutageRecords(Exchange exchange, std::string url, WallTime start)
      : exchange_(std::move(exchange)), url_(std::move(url)), start_(start) {}

  Instant at(Nanos t) const { return {start_ + t, MonoTime{} + std::chrono::hours{1000} + t}; }
  Self& add(Step step) {
    steps_.push_back(std::move(step));
    return static_cast<Self&>(*this);
  }
  Self& begin(Nanos t) {
    return add([now = at(t)](Session& s, Outbox& out) { s.begin(now, out); });
  }
  Self& rest(std::string url, std::string body, Nanos t) {
    return add([=, now = at(t)](Session& s, Outbox& out) { s.rest({url, 200, PaddedText(body).view()}, now, out); });
  }
  Self& opened(ConnectionId id, Nanos t) {
    return add([id, url = url_, now = at(t)](Session& s, Outbox& out) { s.opened(id, url, now, out); });
  }
  Self& closed(ConnectionId id, Nanos t, std::string reason = "network: gone") {
    return add([=, now = at(t)](Session& s, Outbox& out) { s.closed(id, reason, now, out); });
  }
  Self& text(ConnectionId id, std::string frame, Nanos t) {
    return add([=, now = at(t)](Session& s, Outbox& out) { s.text(id, PaddedText(frame).view(), now, out); });
  }
  Self& sent(ConnectionId id, std::string frame, Nanos t) {
    return add([=, now = at(t)](Session& s, Outbox&) { s.sent(id, PaddedText(frame).view(), now); });
  }

  // The gaps, in our words: "BTCUSDT trade disconnected 3000 10000" (milliseconds since the start). They are the same
  // when the session is saved and restored before any of the records.
  std::vector<std::string> gaps(const SessionOptions& options) const {
    const auto whole = gaps_whole(options);
    for (std::size_t cut = 0; cut < steps_.size(); ++cut) EXPECT_EQ(run(options, cut), whole) << "cut at " << cut;
    return whole;
  }
  std::vector<std::string> gaps_whole(const SessionOptions& options) const { return run(options, steps_.size()); }

 private:
  std::vector<std::string> run(SessionOptions options, std::size_t cut) const {
    options.conversing = false;
    auto session = exchange_.make_session(options);
    std::vector<std::string> out;
    Outbox box;
    for (std::size_t n = 0; n < steps_.size(); ++n) {
      if (n == cut) {
        std::string saved;
        session->save(saved);
        session = exchange_.make_session(options);
        const auto restored = session->restore(saved);
        EXPECT_TRUE(restored) << restored.error().text();
      }
      box.clear();
      steps_[n](*session, box);
      for (const auto& event : box.events)
        if (const auto* gap = std::get_if<Gap>(&event)) out.push_back(words(*gap));
    }
    return out;
  }
  std::string words(const Gap& gap) const {
    const auto ms = [&](WallTime t) {
      return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(t - start_).count());
    };
    return gap.meta.instrument->instrument + " " + to_string(gap.data_type) + " " + to_string(gap.cause) + " " +
           ms(gap.gap_start) + " " + ms(gap.gap_end);
  }

  Exchange exchange_;
  std::string url_;
  WallTime start_;
  std::vector<Step> steps_;
};

}  // namespace mp
