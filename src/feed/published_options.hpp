#pragma once
// The part of a session's options that decides what is published: it stands in the journal (records of the kind
// configured, and each segment's checkpoint), so that what was received under one configuration is never decoded under
// another. Addresses and credentials are not part of it.

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "feed/session_options.hpp"

namespace mp {

// A line for each item, readable in `journal cat`: "symbol symbol=BTC-USDT", "data trade,orderbook", ….
std::string published_options(const SessionOptions& options);
// Takes them over; what does not stand in the text stays. Errc::bad_value for a text that is none of these.
Result<void> take_published_options(std::string_view text, SessionOptions& options);

}  // namespace mp
