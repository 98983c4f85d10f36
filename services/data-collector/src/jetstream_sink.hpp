#pragma once
// The collector's bus: events to the JetStream stream of the journal's events.

#include <memory>

#include "base/result.hpp"
#include "event_sink.hpp"
#include "journal/journal.hpp"
#include "net/loop.hpp"
#include "options.hpp"

namespace mp::collector {

// Returns at once; connecting goes on for ever. The journal and the loop must outlive the sink.
Result<std::unique_ptr<EventSink>> open_jetstream_sink(const BusOptions& options, const journal::Journal& journal,
                                                       net::Loop& loop);

}  // namespace mp::collector
