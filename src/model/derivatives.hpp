#pragma once
// Funding, open interest, liquidations, long/short ratios, volatility.
#include "model/event.hpp"

namespace mp {

struct FundingRate {
  static constexpr DataType kType = DataType::funding_rate;
  EventMeta meta;
  Ratio funding_rate;
  std::optional<WallTime> funding_time;       // when this rate is charged
  std::optional<WallTime> next_funding_time;  // the one after it
  std::optional<Price> mark_price;
  std::optional<Price> index_price;
  std::optional<Decimal> funding_interval_hours;
  bool is_settled = false;
};

struct OpenInterest {
  static constexpr DataType kType = DataType::open_interest;
  EventMeta meta;
  Quantity open_interest;
  QuantityUnit quantity_unit = QuantityUnit::base;
  std::optional<Quantity> open_interest_value;  // quote units
  std::optional<Contracts> contracts;
};

// Whether the venue pushes every liquidation or a sample of them: a sum over a sample is no total.
enum class Coverage { complete, sampled };
const char* to_string(Coverage coverage);
Result<Coverage> coverage_from(std::string_view text);

struct Liquidation {
  static constexpr DataType kType = DataType::liquidation;
  EventMeta meta;
  Side side{};  // of the liquidation order: sell closes a long
  std::optional<Price> price;
  std::optional<Price> average_price;
  Quantity quantity;  // of the order
  QuantityUnit quantity_unit = QuantityUnit::base;
  std::optional<Quantity> filled_quantity;
  std::optional<Contracts> contracts;
  std::optional<std::string> status;  // the venue's word
  Coverage coverage{};
};

struct LsrTopPosition {
  static constexpr DataType kType = DataType::lsr_top_position;
  EventMeta meta;
  std::optional<Ratio> long_position_ratio;
  std::optional<Ratio> short_position_ratio;
  Ratio long_short_ratio;
  std::string period;  // "5m"
};

struct LsrAllAccount {
  static constexpr DataType kType = DataType::lsr_all_account;
  EventMeta meta;
  std::optional<Ratio> long_account_ratio;
  std::optional<Ratio> short_account_ratio;
  Ratio long_short_ratio;
  std::string period;
};

struct VolatilityIndex {
  static constexpr DataType kType = DataType::volatility_index;
  EventMeta meta;
  Ratio index_value;
  std::optional<Ratio> open, high, low;
  std::optional<std::string> resolution;
  std::string underlying_asset;
};

}  // namespace mp
