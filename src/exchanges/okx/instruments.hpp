#pragma once
// What an entry of OKX's instruments list is to us: which kind of market, which symbol, and in what its sizes count.

#include <optional>
#include <string_view>
#include <vector>

#include "exchanges/okx/decode.hpp"
#include "feed/selection.hpp"

namespace mp::okx {

// A descriptive word that is new to us.
struct UnknownValue {
  const char* field;  // "instruments.state"
  std::string_view value;
};

// Nothing for what is not carried: margin trading of a spot instrument (the same instrument once more), event
// contracts, contracts announced without their terms yet. An Error for an entry that contradicts itself or whose
// sizes could not be understood.
//
//   BTC-USDT                    spot       BTC-USDT
//   BTC-USDT-SWAP               perpetual  BTC-USDT
//   BTC-USD_UM_XPERP-310404     perpetual  BTC-USD_UM_XPERP (ruleType xperp; the expiry is decades away)
//   BTC-USDT-261225             futures    BTC-USDT-20261225
//   BTC-USD_UM-261225           futures    BTC-USD_UM-20261225 (beside BTC-USD-261225: another family of that pair)
//   BTC-USD-261225-70000-C      options    BTC-USD-20261225-70000-C
Result<std::optional<ListedInstrument>> listing_of(const InstrumentRow& row, WallTime received_at,
                                                   std::vector<UnknownValue>& unknown);

// The kind of market that a name of OKX's belongs to by its form: for messages about instruments that are not known.
MarketType kind_of_name(std::string_view inst_id);

// The venue's word for the kind that an instrument of ours is listed under: "SWAP".
std::string_view inst_type_of(const InstrumentId& id);

}  // namespace mp::okx
