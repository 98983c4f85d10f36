#pragma once
// Events about the data: what is missing, what was refused, what the instruments are.
#include "model/event.hpp"

namespace mp {

enum class GapCause {
  sequence,        // the venue's own numbering has a hole
  disconnected,    // the connection was down
  collector_down,  // the collector was not running
  checksum,        // a book did not match the venue's checksum
  audit,           // a book was not the venue's own of the same id, asked for by REST
  overflow,        // a bound of ours was reached
  stale,           // connected, but silent for too long
  stream_lost,     // the message bus lost what was not stored yet
  journal_lost,    // a part of the journal could not be read when it was to be published
  start,           // edge of a recording: no loss
  end,             // edge of a recording: no loss
};
const char* to_string(GapCause cause);
Result<GapCause> gap_cause_from(std::string_view text);

// Something is missing between the last good event and the first one after it.
// meta.timestamp and meta.received_at: when it was noticed.
struct Gap {
  static constexpr DataType kType = DataType::gap;
  EventMeta meta;
  DataType data_type{};  // what is missing
  GapCause cause{};
  WallTime gap_start;                  // timestamp of the last good event before it
  WallTime gap_end;                    // timestamp of the first good one after it
  std::optional<std::string> last_id;  // of the last good event before it
  std::optional<std::string> next_id;  // of the first good one after it
  // The same in all rows about one gap: the newest counts. "<journal>-<position that noticed it>", or with a name
  // that a session gave to a gap which it tells more than once behind the journal; empty offline (`normalize`).
  std::string gap_id;
};

// A message that could not be turned into events. meta.instrument may be null.
struct Rejected {
  static constexpr DataType kType = DataType::rejected;
  EventMeta meta;
  std::string exchange;
  MarketType market_type{};  // of the source; meta.instrument's where that is known
  std::optional<DataType> data_type;
  std::string reason;
  std::string raw;  // as received; any bytes
};

enum class OptionRight { call, put };
const char* to_string(OptionRight right);  // "C" / "P"
Result<OptionRight> option_right_from(std::string_view text);

// One instrument's definition, from meta.timestamp on. Written when it is new or has changed.
struct Instrument {
  static constexpr DataType kType = DataType::instrument;
  EventMeta meta;  // timestamp: when the venue's answer that told it was received
  std::string base_asset;
  std::string quote_asset;
  std::string settlement_asset;                      // "" for spot
  Decimal contract_size{Decimal::from_parts(1, 0)};  // units per contract, see quantity_unit; 1 for spot
  QuantityUnit quantity_unit = QuantityUnit::base;
  std::optional<Price> tick_size;
  std::optional<Quantity> lot_size;
  std::string status;  // the venue's word, e.g. TRADING
  std::optional<WallTime> expiry;
  std::optional<Price> strike;
  std::optional<OptionRight> option_right;
};

}  // namespace mp
