#pragma once
// What all events have in common. Their meaning, field by field: docs/semantics.md.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/decimal.hpp"
#include "base/time.hpp"
#include "model/instrument_id.hpp"

namespace mp {

enum class DataType {
  orderbook,
  orderbook_delta,
  trade,
  funding_rate,
  open_interest,
  liquidation,
  lsr_top_position,
  lsr_all_account,
  volatility_index,
  gap,
  rejected,
  instrument,
};
inline constexpr int kDataTypeCount = 12;
const char* to_string(DataType type);
Result<DataType> data_type_from(std::string_view text);

enum class DataSource { live, backfill, simulated, replay };
const char* to_string(DataSource source);
Result<DataSource> data_source_from(std::string_view text);

enum class Side { buy, sell };
const char* to_string(Side side);
Result<Side> side_from(std::string_view text);

// In what a quantity counts: base units (spot, linear contracts) or quote units (inverse contracts).
enum class QuantityUnit { base, quote };
const char* to_string(QuantityUnit unit);
Result<QuantityUnit> quantity_unit_from(std::string_view text);

struct EventMeta {
  InstrumentRef instrument;  // never null, except in a Rejected whose instrument is not known
  WallTime timestamp;        // when it happened, by the venue's clock; received_at where the message has none
  WallTime received_at;      // when the frame that brought it was received
  DataSource data_source = DataSource::live;
};

}  // namespace mp
