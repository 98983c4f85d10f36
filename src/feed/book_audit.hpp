#pragma once
// A kept book held against a fresh answer by REST, now and then: the chain of updates proves that nothing was missed,
// this that it was understood. Counted and told here; what a proven difference does to the book is KeptBook's (it may
// look at records only, and the request is none).
//
// An answer stands at some id; the book must be compared as it was there. So from the moment that the answer is asked
// for, what the book takes is noted (BookAudit), and replayed up to the answer's id. Venues that send several changes
// as one update have answers that stand between two updates: prices that the second one names are then left out. A
// difference is no proof there: an order that came and went between the two is in neither.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "book/book.hpp"
#include "feed/session.hpp"
#include "model/event.hpp"

namespace mp {

struct AuditFinding {
  enum class Verdict {
    agrees,
    differs,
    // The answer was older than the book, or nothing came that would have shown where it stands, or it differs and
    // stands between two updates.
    undecided,
  };
  Verdict verdict{};
  std::size_t compared = 0;  // levels
  std::size_t different = 0;
  std::string example{};  // the first that is different: "bid 64250.5 ours=12 theirs=13"
};

// How far a book is known: levels beyond these prices may be there without us knowing of them.
struct KnownRange {
  std::optional<Price> lowest_bid{};
  std::optional<Price> highest_ask{};
};

class BookAudit {
 public:
  static constexpr std::size_t kMostUpdates = 2000;

  // The book as it is when the answer is asked for, at `id`.
  BookAudit(const book::Book& book, std::uint64_t id, const KnownRange& known) : book_(book), id_(id), known_(known) {}

  // The book has taken an update that ends at `id`.
  void took(std::uint64_t id, const std::vector<BookLevel>& bids, const std::vector<BookLevel>& asks);
  // `asked`: how many levels of a side the answer has at most; 0: all.
  void answered(std::uint64_t id, std::vector<BookLevel> bids, std::vector<BookLevel> asks, std::size_t asked);

  // Once it is over.
  const std::optional<AuditFinding>& finding() const { return finding_; }

 private:
  struct Update {
    std::uint64_t id;
    std::vector<BookLevel> bids;
    std::vector<BookLevel> asks;
  };
  struct Answer {
    std::uint64_t id;
    std::vector<BookLevel> bids;
    std::vector<BookLevel> asks;
    std::size_t asked;
  };

  void proceed();
  void compare(const Update* next);
  void compare_side(bool bids, const std::vector<BookLevel>& theirs, const Update* next, AuditFinding& out) const;
  void give_up() { finding_.emplace().verdict = AuditFinding::Verdict::undecided; }

  book::Book book_;
  std::uint64_t id_;
  KnownRange known_;
  std::deque<Update> updates_;  // not in book_ yet
  std::optional<Answer> answer_;
  std::optional<AuditFinding> finding_;
};

// What a session's audits have shown.
class BookAudits {
 public:
  void done(const InstrumentRef& instrument, const AuditFinding& finding);
  void count(SessionCounters& out) const { out.audits = counts_; }
  void tell(std::vector<Notice>& out);
  // A difference was seen in this one's book since it last agreed: it is worth another look soon. May be null.
  const InstrumentRef& doubted() const { return doubted_; }

 private:
  BookAuditCounts counts_;
  std::vector<Notice> untold_;
  InstrumentRef doubted_;
};

// Whose turn it is: one book after the other, at even times; one that is doubted again and again for a while.
class AuditRound {
 public:
  // How much of a budget an audit may fill: whatever else is asked for matters more.
  static constexpr int kPercentAtMost = 30;
  static constexpr int kPriority = 0;
  static constexpr std::chrono::seconds kAgainAfter{3};
  static constexpr int kMostAgain = 20;

  explicit AuditRound(std::chrono::seconds every) : every_(every) {}
  void begin(MonoTime now) { next_at_ = now + every_; }

  // The next of `books` that may be audited, if it is time.
  template <class May>
  std::optional<std::uint32_t> due(std::size_t books, std::optional<std::uint32_t> doubted, MonoTime now, May may) {
    if (every_.count() <= 0) return std::nullopt;
    if (doubted != doubted_) again_ = 0;
    doubted_ = doubted;
    if (doubted && *doubted < books && again_ < kMostAgain && now >= again_at_ && may(*doubted)) {
      ++again_;
      again_at_ = now + std::min(kAgainAfter, every_);
      return doubted;
    }
    if (now < next_at_) return std::nullopt;
    next_at_ = now + every_;
    for (std::size_t looked = 0; looked < books; ++looked) {
      last_ = (last_ + 1) % static_cast<std::uint32_t>(books);
      if (may(last_)) return last_;
    }
    return std::nullopt;
  }

 private:
  std::chrono::seconds every_;
  MonoTime next_at_;
  std::uint32_t last_ = UINT32_MAX;
  std::optional<std::uint32_t> doubted_;
  int again_ = 0;
  MonoTime again_at_;
};

}  // namespace mp
