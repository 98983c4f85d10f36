#include "wire/subject.hpp"

namespace mp::wire {
namespace {

struct SubjectShape {
  const char* head;  // before exchange
  const char* tail;  // between market_type and symbol, with its dot, or ""
  const char* filter;
};

// The order of DataType.
constexpr SubjectShape kShapes[kDataTypeCount] = {
    {"orderbook-data", "", "orderbook-data.>"},
    {"orderbook-delta-data", "", "orderbook-delta-data.>"},
    {"trade-data", "", "trade-data.>"},
    {"funding-rate-data", "", "funding-rate-data.>"},
    {"open-interest-data", "", "open-interest-data.>"},
    {"liquidation-data", "", "liquidation-data.>"},
    {"lsr-data", ".top-position", "lsr-data.*.*.top-position.>"},
    {"lsr-data", ".all-account", "lsr-data.*.*.all-account.>"},
    {"volatility-index-data", "", "volatility-index-data.>"},
    {"gap-data", "", "gap-data.>"},
    {"rejected-data", "", "rejected-data.>"},
    {"instrument-data", "", "instrument-data.>"},
};

const SubjectShape& shape(DataType type) { return kShapes[static_cast<int>(type)]; }

}  // namespace

void append_subject(std::string& out, const MarketEvent& event) {
  const auto& words = shape(type_of(event));
  const auto* rejected = std::get_if<Rejected>(&event);
  const auto* id = meta_of(event).instrument.get();
  out += words.head;
  out += '.';
  out += rejected ? rejected->exchange : id->exchange;
  out += '.';
  out += to_string(rejected ? rejected->market_type : id->market_type);
  if (rejected) return;
  out += words.tail;
  out += '.';
  out += id->symbol;
}

std::string_view subject_filter(DataType type) { return shape(type).filter; }

const std::vector<std::string>& stream_subjects() {
  static const std::vector<std::string> subjects{
      "orderbook-data.>",   "trade-data.>",    "funding-rate-data.>",     "open-interest-data.>",
      "liquidation-data.>", "lsr-data.>",      "volatility-index-data.>", "orderbook-delta-data.>",
      "gap-data.>",         "rejected-data.>", "instrument-data.>"};
  return subjects;
}

}  // namespace mp::wire
