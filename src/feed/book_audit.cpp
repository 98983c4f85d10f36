#include "feed/book_audit.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace mp {
namespace {

using Verdict = AuditFinding::Verdict;

bool names(const std::vector<BookLevel>& levels, const Price& price) {
  return std::ranges::any_of(levels, [&](const BookLevel& each) { return each.price == price; });
}

}  // namespace

void BookAudit::took(std::uint64_t id, const std::vector<BookLevel>& bids, const std::vector<BookLevel>& asks) {
  if (finding_) return;
  // The venue counts anew, or no answer comes: where it would stand cannot be told any more.
  if (id < (updates_.empty() ? id_ : updates_.back().id) || updates_.size() >= kMostUpdates) return give_up();
  updates_.push_back({id, bids, asks});
  proceed();
}

void BookAudit::answered(std::uint64_t id, std::vector<BookLevel> bids, std::vector<BookLevel> asks,
                         std::size_t asked) {
  if (finding_ || answer_) return;
  std::ranges::sort(bids, std::ranges::greater{}, [](const BookLevel& level) { return level.price; });
  std::ranges::sort(asks, std::ranges::less{}, [](const BookLevel& level) { return level.price; });
  answer_ = {id, std::move(bids), std::move(asks), asked};
  proceed();
}

void BookAudit::proceed() {
  if (!answer_) return;
  if (answer_->id < id_) return give_up();
  while (!updates_.empty() && updates_.front().id <= answer_->id) {
    const auto& update = updates_.front();
    book_.apply(update.bids, update.asks);
    id_ = update.id;
    updates_.pop_front();
  }
  if (id_ == answer_->id)
    compare(nullptr);
  else if (!updates_.empty())
    compare(&updates_.front());
}

void BookAudit::compare(const Update* next) {
  AuditFinding found;
  compare_side(true, answer_->bids, next, found);
  compare_side(false, answer_->asks, next, found);
  found.verdict = found.different == 0 ? Verdict::agrees : next ? Verdict::undecided : Verdict::differs;
  finding_ = std::move(found);
}

void BookAudit::compare_side(bool bids, const std::vector<BookLevel>& theirs, const Update* next,
                             AuditFinding& out) const {
  std::vector<BookLevel> ours;
  bids ? book_.top_bids(0, ours) : book_.top_asks(0, ours);
  const auto better = [&](const Price& a, const Price& b) { return bids ? b < a : a < b; };
  // The worst price down to which both are whole.
  std::optional<Price> limit = bids ? known_.lowest_bid : known_.highest_ask;
  for (const auto* side : {&theirs, static_cast<const std::vector<BookLevel>*>(&ours)}) {
    if (answer_->asked == 0 || side->size() < answer_->asked) continue;
    if (!limit || better(side->back().price, *limit)) limit = side->back().price;
  }
  const auto left_out = [&](const Price& price) {
    return (limit && better(*limit, price)) || (next && names(bids ? next->bids : next->asks, price));
  };
  const auto judge = [&](const Price& price, const Quantity* our, const Quantity* their) {
    if (left_out(price)) return;
    ++out.compared;
    if (our && their && *our == *their) return;
    if (++out.different > 1) return;
    out.example = fmt::format("{} {} ours={} theirs={}", bids ? "bid" : "ask", price.value.text(),
                              our ? our->value.text() : "none", their ? their->value.text() : "none");
  };
  auto our = ours.begin();
  auto their = theirs.begin();
  while (our != ours.end() || their != theirs.end()) {
    const bool only_ours = their == theirs.end() || (our != ours.end() && better(our->price, their->price));
    const bool only_theirs = our == ours.end() || (their != theirs.end() && better(their->price, our->price));
    if (only_ours) {
      judge(our->price, &our->quantity, nullptr);
      ++our;
    } else if (only_theirs) {
      judge(their->price, nullptr, &their->quantity);
      ++their;
    } else {
      judge(our->price, &our->quantity, &their->quantity);
      ++our;
      ++their;
    }
  }
}

void BookAudits::done(const InstrumentRef& instrument, const AuditFinding& finding) {
  if (finding.different > 0)
    doubted_ = instrument;
  else if (finding.verdict == Verdict::agrees && doubted_ == instrument)
    doubted_.reset();
  if (finding.verdict != Verdict::undecided) {
    counts_.levels_same += finding.compared - finding.different;
    counts_.levels_different += finding.different;
  }
  switch (finding.verdict) {
    case Verdict::agrees: ++counts_.agreed; return;
    case Verdict::undecided: ++counts_.undecided; return;
    case Verdict::differs: break;
  }
  ++counts_.differed;
  untold_.push_back({Notice::Level::warning, "a book differs from a fresh snapshot of the venue",
                     fmt::format("exchange={} market_type={} symbol={} levels={} different={} first=\"{}\"",
                                 instrument->exchange, to_string(instrument->market_type), instrument->symbol,
                                 finding.compared, finding.different, finding.example)});
}

void BookAudits::tell(std::vector<Notice>& out) {
  for (auto& notice : untold_) out.push_back(std::move(notice));
  untold_.clear();
}

}  // namespace mp
