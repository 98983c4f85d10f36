// The names of the closed sets, as they stand in JSON, subjects and tables.
#include <algorithm>
#include <array>
#include <utility>

#include "base/text.hpp"
#include "model/market_event.hpp"

namespace mp {
namespace {

template <class E, std::size_t N>
using Names = std::array<std::pair<E, const char*>, N>;

template <class E, std::size_t N>
const char* name_of(const Names<E, N>& names, E value) {
  const auto found = std::ranges::find(names, value, &std::pair<E, const char*>::first);
  return found == names.end() ? "?" : found->second;
}

template <class E, std::size_t N>
Result<E> value_of(const Names<E, N>& names, const char* what, std::string_view text) {
  for (const auto& [value, name] : names)
    if (text == name) return value;
  return Error{Errc::bad_value, what, shortened(text)};
}

constexpr Names<MarketType, 4> kMarketTypes{{{MarketType::spot, "spot"},
                                             {MarketType::perpetual, "perpetual"},
                                             {MarketType::futures, "futures"},
                                             {MarketType::options, "options"}}};
constexpr Names<DataType, kDataTypeCount> kDataTypes{{{DataType::orderbook, "orderbook"},
                                                      {DataType::orderbook_delta, "orderbook_delta"},
                                                      {DataType::trade, "trade"},
                                                      {DataType::funding_rate, "funding_rate"},
                                                      {DataType::open_interest, "open_interest"},
                                                      {DataType::liquidation, "liquidation"},
                                                      {DataType::lsr_top_position, "lsr_top_position"},
                                                      {DataType::lsr_all_account, "lsr_all_account"},
                                                      {DataType::volatility_index, "volatility_index"},
                                                      {DataType::gap, "gap"},
                                                      {DataType::rejected, "rejected"},
                                                      {DataType::instrument, "instrument"}}};
constexpr Names<DataSource, 4> kDataSources{{{DataSource::live, "live"},
                                             {DataSource::backfill, "backfill"},
                                             {DataSource::simulated, "simulated"},
                                             {DataSource::replay, "replay"}}};
constexpr Names<Side, 2> kSides{{{Side::buy, "buy"}, {Side::sell, "sell"}}};
constexpr Names<QuantityUnit, 2> kQuantityUnits{{{QuantityUnit::base, "base"}, {QuantityUnit::quote, "quote"}}};
constexpr Names<TradeExecution, 3> kTradeExecutions{
    {{TradeExecution::book, "book"}, {TradeExecution::block, "block"}, {TradeExecution::combo, "combo"}}};
constexpr Names<Coverage, 2> kCoverages{{{Coverage::complete, "complete"}, {Coverage::sampled, "sampled"}}};
constexpr Names<OptionRight, 2> kOptionRights{{{OptionRight::call, "C"}, {OptionRight::put, "P"}}};
constexpr Names<GapCause, 11> kGapCauses{{{GapCause::sequence, "sequence"},
                                          {GapCause::disconnected, "disconnected"},
                                          {GapCause::collector_down, "collector_down"},
                                          {GapCause::checksum, "checksum"},
                                          {GapCause::audit, "audit"},
                                          {GapCause::overflow, "overflow"},
                                          {GapCause::stale, "stale"},
                                          {GapCause::stream_lost, "stream_lost"},
                                          {GapCause::journal_lost, "journal_lost"},
                                          {GapCause::start, "start"},
                                          {GapCause::end, "end"}}};

}  // namespace

const char* to_string(MarketType v) { return name_of(kMarketTypes, v); }
const char* to_string(DataType v) { return name_of(kDataTypes, v); }
const char* to_string(DataSource v) { return name_of(kDataSources, v); }
const char* to_string(Side v) { return name_of(kSides, v); }
const char* to_string(QuantityUnit v) { return name_of(kQuantityUnits, v); }
const char* to_string(TradeExecution v) { return name_of(kTradeExecutions, v); }
const char* to_string(Coverage v) { return name_of(kCoverages, v); }
const char* to_string(OptionRight v) { return name_of(kOptionRights, v); }
const char* to_string(GapCause v) { return name_of(kGapCauses, v); }

Result<MarketType> market_type_from(std::string_view t) { return value_of(kMarketTypes, "market_type", t); }
Result<DataType> data_type_from(std::string_view t) { return value_of(kDataTypes, "data type", t); }
Result<DataSource> data_source_from(std::string_view t) { return value_of(kDataSources, "data_source", t); }
Result<Side> side_from(std::string_view t) { return value_of(kSides, "side", t); }
Result<QuantityUnit> quantity_unit_from(std::string_view t) { return value_of(kQuantityUnits, "quantity_unit", t); }
Result<TradeExecution> trade_execution_from(std::string_view t) { return value_of(kTradeExecutions, "execution", t); }
Result<Coverage> coverage_from(std::string_view t) { return value_of(kCoverages, "coverage", t); }
Result<OptionRight> option_right_from(std::string_view t) { return value_of(kOptionRights, "option_right", t); }
Result<GapCause> gap_cause_from(std::string_view t) { return value_of(kGapCauses, "cause", t); }

}  // namespace mp
