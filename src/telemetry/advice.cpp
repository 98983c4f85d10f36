#include "telemetry/advice.hpp"

#include <algorithm>

namespace mp::telemetry {
namespace {

struct Advice {
  std::string_view message;  // whole; '*' stands for any text
  std::string_view what;
};

constexpr std::string_view kNothing = "nothing: it mends itself; if it repeats for minutes look at the cause it names";
constexpr std::string_view kRoom =
    "make room on the journal's disk (df), never by removing unpublished segments; it goes on by itself then";
constexpr std::string_view kDamaged =
    "keep the segment, run `marketprism journal verify` on it and check the disk (dmesg, SMART)";
constexpr std::string_view kConfiguration = "correct the configuration (`marketprism config check`) and reload it";
constexpr std::string_view kRestart = "restart the service when it suits, or put the old value back";
constexpr std::string_view kNats =
    "look at NATS: is it running (curl :8222/healthz), are address, user and password right (`marketprism config show`), what does its log say";
constexpr std::string_view kNatsLost =
    "what the journal holds is published again; find out why NATS lost what it had acknowledged (its log, its disk, a purge by hand)";
constexpr std::string_view kClickHouse =
    "look at what the trouble names: is ClickHouse running (curl :8123/ping), its disk, its log; everything waits on the bus";
constexpr std::string_view kVenueWords =
    "read the venue's words: correct the symbol or the credentials, collect fewer streams, or wait when it is busy";
constexpr std::string_view kReport =
    "the raw message is in the journal (`marketprism journal cat`); report it: the venue has changed its format";

constexpr Advice kTable[] = {
    // Configuration.
    {"the configuration cannot be taken over; what runs goes on as before", kConfiguration},
    {"a changed key needs a restart of the collector; it goes on with the old value", kRestart},
    {"a changed key needs a restart of storage; it goes on with the old value", kRestart},
    {"the configuration names what cannot be collected", kConfiguration},
    {"nothing reads these environment variables",
     "correct their names (`marketprism config show --json` lists every key with its variable), or unset them"},
    {"no symbols chosen: nothing is subscribed", "name symbols of this exchange in the configuration and reload it"},
    {"unknown symbol: nothing is collected for it", "correct `symbols` (the nearest names are in the line) and reload"},
    {"a chosen symbol is not listed any more", "take it out of `symbols` and reload, unless it comes back"},
    {"a rule for symbols chooses nothing",
     "check the rule's kind, base and quote against the venue's list, and reload"},
    {"symbols are not trading",
     "nothing: data comes when they trade again; choose by a narrower pattern or rule if they do not"},
    {"symbol is not trading", "nothing: data comes when it trades again; take it out of `symbols` if it does not"},
    {"the interval raw needs credentials: the venue will refuse it",
     "set `credentials` of this exchange, or its `extra.interval` to 100ms, and restart"},
    {"more connections than the venue allows for one address: choose fewer instruments",
     "choose fewer instruments, or divide them among collectors with addresses of their own"},
    // Venues.
    {"connection ended", kNothing},
    {"REST request refused",
     "429 and 418: something else on this address uses up the limit; 403 and 451: the venue does not serve this region; 400: report it"},
    {"the venue refused a request", kVenueWords},
    {"the venue refused the login; raw channels will not come", "correct `credentials` of this exchange and restart"},
    {"a book snapshot could not be read", kNothing},
    {"a book's answer could not be used", kNothing},
    {"a book could not be asked for", kNothing},
    {"a REST request that is made regularly failed", kNothing},
    {"a book differs from a fresh snapshot of the venue",
     "nothing: the book is asked for again, and a gap of cause audit says since when it may be wrong; if it repeats keep the journal's segments of that time (`marketprism journal`) and report it: the venue may have changed its rules"},
    {"a connection does not answer; reconnecting", kNothing},
    {"no answer to a request; reconnecting", kNothing},
    {"no answer to a subscription; reconnecting", kNothing},
    {"a stream is silent for longer than its own rate allows",
     "nothing, unless one symbol repeats: it may be suspended or delisted"},
    {"subscribed and confirmed, but no data has come", "nothing, unless one symbol repeats: it may not be traded"},
    {"the venue sends a field that is new to us", kReport},
    {"the venue sends a value that is new to us", kReport},
    // The journal.
    {"a journal segment has no usable checkpoint; going back one more", kDamaged},
    {"the journal's last checkpoint cannot be used; sessions begin anew", kDamaged},
    {"a journal checkpoint cannot be used; decoding begins without its state", kDamaged},
    {"a part of the journal is damaged; its events cannot be published", kDamaged},
    {"a part of the journal is missing or damaged; its events cannot be published", kDamaged},
    {"the journal's newest segments are not on the disk, as after a power cut; their numbers are not used again",
     "nothing now; journal.fsync_interval says how much a power cut may take"},
    {"the journal cannot be written; records are lost", kRoom},
    {"no new journal segment could be begun; the old one goes on", kRoom},
    {"the journal cannot be read for publishing",
     "check the disk (dmesg, SMART) and the folder's rights; it is tried again"},
    {"the journal could not be forced to the disk",
     "check the disk (dmesg, SMART); a power cut may cost what was not forced"},
    {"old journal segments could not be removed", "check the folder's rights; the disk fills up otherwise"},
    {"the journal could not be closed in order",
     "nothing now; the next start checks it. Look at the disk if it repeats"},
    {"the recording cannot be read to its end",
     "mend what the error names (the disk, the file's rights) and play it again: it goes on there"},
    {"a line of the recording cannot be read; play-back goes on behind it",
     "get the file anew where it came from, or mend the line; its text stands in rejected_messages"},
    {"lines of the recording could not be read",
     "the first of them stand above; get the file anew where it came from, and play it into another --data DIR"},
    {"the recording ends in the middle of a line; when it is whole play it again, and it goes on there",
     "copy the file again when its recorder has written it to the end"},
    {"a recording is not played", "nothing, if it is as the line says: no line of it is missing"},
    {"lines of unknown venues were left out",
     "nothing if they are not to be collected; else name their exchange in the lines"},
    // The bus, as the collector sees it.
    {"the stream lost acknowledged messages; offering them again from the journal", kNatsLost},
    {"the bus is slower than the venue; publishing goes on from the journal",
     "nothing if it ends soon; else give NATS a faster disk or processor, or collect less"},
    {"an event is too large for the bus; told in rejected_messages and data_gaps",
     "raise max_payload of NATS, or collect fewer levels; the raw frame is in the journal"},
    {"an event became too large for the bus while it waited; it is replaced when it is offered again",
     "nothing if max_payload of NATS was lowered on purpose; else raise it again"},
    {"what the bus has not acknowledged is published at the next start", "start it again when NATS is well"},
    {"the bus has not taken everything in time", "start it again when NATS is well: the rest is published then"},
    {"not everything is published; the rest stays in the journal and is published at the next start",
     "start it again when NATS is well"},
    {"stopping at once; what is not published stays in the journal", "start it again: it is published then"},
    {"the report of the end could not be written", "check the folder's rights and room"},
    {"the final books could not be written", "check the folder's rights and room"},
    {"publishing: NATS: *", kNats},
    {"publishing: waiting for NATS (*", kNats},
    {"publishing: stream * is not as configured, *",
     "set nats.change_stream of storage to true and restart it, or configure what the stream has"},
    {"publishing: publisher cursor: *", kRoom},
    {"publishing: connection to NATS lost; reconnecting", kNats},
    {"publishing: stream * is a new one, *", "nothing if you made it anew; else find out who removed the stream"},
    {"publishing: stream * ends at *, before what the server had acknowledged*", kNatsLost},
    {"publishing: stream * no longer holds what the server had acknowledged*", kNatsLost},
    {"publishing: stream * lost messages that the server had acknowledged*", kNatsLost},
    {"publishing: the stream was made anew", "nothing if you made it anew; else find out who removed the stream"},
    {"publishing: the stream's end went back", kNatsLost},
    {"publishing: stream * is nearly full *",
     "let storage catch up (its /health), or raise nats.max_bytes with nats.change_stream"},
    {"publishing: the server refuses fast ingest *",
     "nothing: publishing goes on, more slowly; nats-server 2.14 or later is faster"},
    {"publishing: stream * refuses messages *",
     "let storage catch up (its /health) when it is full; otherwise NATS's answer says what is wrong"},
    {"publishing: no answer to a published message in time; reading back what is stored", kNothing},
    {"publishing: *",
     "what the bus has not taken waits in the journal, as long as that can be written (/health); look at NATS if it repeats"},
    // Storage.
    {"connection to NATS lost, trying again", kNats},
    {"NATS refuses the connection", kNats},
    {"NATS reports an error", kNats},
    {"NATS connection cannot be made", kNats},
    {"stream setting changed", "nothing: nats.change_stream asked for it"},
    {"stream setting differs and is left as it is",
     "set nats.change_stream to true and restart, or configure what the stream has"},
    {"rows are refused: they are of another data source than this database",
     "give them a storage service of their own (storage.data_source and clickhouse.database), or point the collector or this one at another bus; what is "
     "refused stands in rejected_messages"},
    {"inserts fail, trying again", kClickHouse},
    {"waiting_for_nats", kNats},
    {"waiting_for_lease",
     "nothing if another storage process serves this database; of one that died the lease is taken over after some seconds"},
    {"waiting_for_clickhouse", kClickHouse},
    {"stopped before everything was stored; it will be delivered again", "start it again: it is stored then"},
    {"the tables do not fit",
     "the difference is in the line: put the table back, or rename it away and let storage make it anew"},
    {"a part of the stream was gone before it was stored",
     "find out what removed it (a purge, a limit, a lost NATS store); play the collector's journal of that time if it matters"},
    {"an earlier session cannot be shut", kClickHouse},
    {"the stream ends before what is stored: the server has lost messages that it had acknowledged; collectors publish them again",
     kNatsLost},
    {"the bus uses sequences again whose messages it has lost; the rows of the new messages are stored beside those of the lost ones",
     kNatsLost},
    {"the server has lost the end of the stream and would not deliver what has its sequences now: the consumer is made anew",
     kNatsLost},
    {"the stream is not trimmed", kNats},
    // Days that move from the hot to the cold tables.
    {"tiers do not advance",
     "look at what the trouble names: rights, room and health of both databases; nothing is dropped before it is verified"},
    {"rows differ between the hot and the cold table",
     "compare the day named in both tables; remove the wrong copy from the cold one, then it is verified anew"},
    {"a day that is not verified will soon expire",
     "mend what the trouble names, or raise clickhouse.hot_ttl and ALTER the table's TTL before its rows are gone"},
    // The program itself.
    {"the collector cannot run", "mend what the error names and start it again"},
    {"a statement did not end even when it was told to; leaving without waiting for it",
     "nothing: what was acknowledged is on disk"},
};

// '*' any text.
bool matches(std::string_view pattern, std::string_view text) {
  const auto star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == text;
  if (!text.starts_with(pattern.substr(0, star))) return false;
  text.remove_prefix(star);
  const auto rest = pattern.substr(star + 1);
  for (std::size_t skip = 0; skip <= text.size(); ++skip)
    if (matches(rest, text.substr(skip))) return true;
  return false;
}

}  // namespace

std::string_view what_to_do(std::string_view message) {
  const auto found =
      std::ranges::find_if(kTable, [&](const Advice& advice) { return matches(advice.message, message); });
  return found == std::end(kTable) ? std::string_view{} : found->what;
}

}  // namespace mp::telemetry
