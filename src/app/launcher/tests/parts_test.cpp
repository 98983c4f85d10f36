// The launcher's small parts: what it reads, shows, checks and judges.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "app/launcher/log_file.hpp"
#include "app/launcher/observe.hpp"
#include "app/launcher/preflight.hpp"
#include "app/launcher/process.hpp"
#include "app/launcher/replaced.hpp"
#include "app/launcher/status.hpp"
#include "app/launcher/verdict.hpp"

namespace mp::launcher {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST(Health, ReadsWhatThePartsSay) {
  const auto seen =
      read_health(R"({"status":"unhealthy","problem":"not connected","events":12,"gaps":1,"rejected":0,"drained":true,)"
                  R"("bus":{"behind":true},"streams":[{"state":"live"},{"state":"silent"}]})",
                  503, MonoTime{1s});
  EXPECT_EQ(seen.problem, "not connected");
  EXPECT_EQ(seen.events, 12u);
  EXPECT_EQ(seen.streams, 2u);
  EXPECT_EQ(seen.live_streams, 1u);
  EXPECT_TRUE(seen.drained && seen.behind && seen.answers);
  EXPECT_EQ(seen.rows, std::nullopt);
}

TEST(Health, SumsWhatStorageCountsByType) {
  const auto seen = read_health(R"({"status":"healthy","drained":false,"data_types":{"trade":{"rows":5,"rejected":1},)"
                                R"("orderbook":{"rows":2,"rejected":0,"trouble":"ClickHouse does not answer"}}})",
                                200, MonoTime{1s});
  EXPECT_EQ(seen.rows, 7u);
  EXPECT_EQ(seen.rejected, 1u);
  EXPECT_EQ(seen.problem, "orderbook: ClickHouse does not answer");
}

TEST(Health, ReadsWhatNatsSaysIsTheMatter) {
  const auto seen = read_health(R"({"status":"unavailable","status_code":503,"error":"JetStream is not current"})", 503,
                                MonoTime{1s});
  EXPECT_EQ(seen.problem, "JetStream is not current");
}

TEST(EndReport, IsReadOrNotThere) {
  const auto left = read_end_report(R"({"unpublished_events":12,"unpublished_gaps":3,"all_counted":true})");
  ASSERT_TRUE(left);
  EXPECT_EQ(unpublished_text(*left),
            "12 events (3 of them gaps) are not published yet: they wait in the journal for the next start");
  EXPECT_EQ(left->records_dropped, 0u);
  const auto whole = read_end_report(
      R"({"unpublished_events":0,"unpublished_gaps":0,"all_counted":true,"records_dropped":7,"failed_recording":"a.jsonl","broken_recording":"b.jsonl","broken_lines":3,"unfinished_recordings":2})");
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->records_dropped, 7u);
  EXPECT_EQ(whole->failed_recording, "a.jsonl");
  EXPECT_EQ(whole->unfinished_recordings, 2u);
  EXPECT_EQ(whole->broken_recording, "b.jsonl");
  EXPECT_EQ(whole->broken_lines, 3u);
  EXPECT_EQ(unpublished_text({0, 0, true}), "");
  EXPECT_THAT(unpublished_text({0, 0, false}), HasSubstr("more than 0 events"));
  for (const auto* text :
       {"", "{}", R"({"unpublished_events":1})", R"({"unpublished_events":-1,"unpublished_gaps":0})"})
    EXPECT_FALSE(read_end_report(text)) << text;
}

TEST(Health, AnythingElseIsAnAnswerWithoutNumbers) {
  for (const auto* body : {"Ok.\n", "", "[1]", "{\"events\":-1}", "{\"problem\":3,\"streams\":7}"}) {
    const auto seen = read_health(body, 200, MonoTime{1s});
    EXPECT_TRUE(seen.answers);
    EXPECT_EQ(seen.events, std::nullopt);
  }
}

TEST(Bus, ReadsTheStreamByName) {
  const auto* page =
      R"({"account_details":[{"stream_detail":[{"name":"KV_x"},{"name":"MARKET_DATA","created":"2026-11-23T04:00:00.5Z",)"
      R"("state":{"first_seq":3,"last_seq":9,"bytes":100},"consumer_detail":[{"num_pending":2,"num_ack_pending":1},{"num_pending":4}]}]}]})";
  const auto bus = read_bus(page, "MARKET_DATA");
  ASSERT_TRUE(bus);
  EXPECT_EQ(iso(bus->created), "2026-11-23T04:00:00.500000000Z");
  EXPECT_EQ(bus->last_sequence, 9u);
  EXPECT_EQ(bus->undelivered, 6u);
  EXPECT_EQ(bus->waiting, 7u);
  EXPECT_FALSE(read_bus(page, "OTHER"));
  const auto* unserved =
      R"({"account_details":[{"stream_detail":[{"name":"MARKET_DATA","created":"2026-11-23T04:00:00.5Z",)"
      R"("state":{"messages":7,"first_seq":3,"last_seq":9}}]}]})";
  EXPECT_EQ(read_bus(unserved, "MARKET_DATA")->waiting, 7u) << "nobody has ever stored any of it";
  EXPECT_FALSE(read_bus("{}", "MARKET_DATA"));
}

const BusRange kRange{wall_from_nanos(1'795'369'470'123'456'789), 10, 17};

TEST(Verdict, AsksOnlyForThisRunsPartOfThisStream) {
  const auto sql = sql_counts("marketprism_hot", kRange);
  EXPECT_THAT(
      sql,
      AllOf(
          HasSubstr(
              "`marketprism_hot`.trades WHERE bus_stream BETWEEN toDateTime64('2026-11-22 17:44:30.123456789', 9, 'UTC') AND "
              "toDateTime64('2026-11-22 17:44:30.123457788', 9, 'UTC') AND bus_sequence > 10 AND bus_sequence <= 17"),
          HasSubstr("rejected_messages")));
  EXPECT_THAT(sql_missing("d", kRange), HasSubstr("SELECT 7 - uniqExact(bus_sequence)"));
  EXPECT_THAT(sql_gaps("d", kRange, std::nullopt), Not(HasSubstr("gap_start >=")));
}

Findings good_findings() {
  Findings findings;
  read_counts("trades\t5\t5\norderbook_deltas\t9\t9\nrejected_messages\t0\t0\n", findings);
  read_missing("0\n", findings);
  read_gaps("", findings);
  return findings;
}

TEST(Verdict, IsGoodWhenEverythingIsThereOnce) {
  const auto verdict = judge(good_findings(), kRange, 0);
  EXPECT_TRUE(verdict.good);
  EXPECT_EQ(verdict.lines.back(), "nothing of this run was lost");
}

TEST(Verdict, GapsOfEarlierTimesAreSaidButDoNotCount) {
  auto findings = good_findings();
  findings.tables["data_gaps"] = {3, 3};
  const auto verdict = judge(findings, kRange, 0);
  EXPECT_TRUE(verdict.good);
  EXPECT_THAT(verdict.lines, Contains(HasSubstr("3 gaps from before this run")));
}

TEST(Verdict, ARecordingThatTheUserCutShortIsSaidAndNoLoss) {
  auto findings = good_findings();
  findings.unpublished = Unpublished{.unfinished_recordings = 1};
  const auto verdict = judge(findings, kRange, 0);
  EXPECT_TRUE(verdict.good);
  EXPECT_THAT(verdict.lines, Contains(HasSubstr("1 recordings were not played to their end")));
}

TEST(Verdict, EachLossIsNamed) {
  const auto why = [](const std::function<void(Findings&)>& spoil) {
    auto findings = good_findings();
    spoil(findings);
    const auto verdict = judge(findings, kRange, 0);
    EXPECT_FALSE(verdict.good);
    return verdict.lines.back();
  };
  EXPECT_THAT(why([](Findings& f) {
                f.unpublished = Unpublished{5, 2, true};
              }),
              HasSubstr("5 events (2 of them gaps) are not published yet"));
  EXPECT_THAT(why([](Findings& f) { f.must_report = true; }), HasSubstr("the collector did not end in order"));
  EXPECT_THAT(why([](Findings& f) { f.unpublished = Unpublished{.records_dropped = 7}; }),
              HasSubstr("7 records could not be written"));
  EXPECT_THAT(why([](Findings& f) { f.unpublished = Unpublished{.failed_recording = "a.jsonl"}; }),
              HasSubstr("a.jsonl could not be read to its end"));
  EXPECT_THAT(why([](Findings& f) { f.unpublished = Unpublished{.broken_recording = "b.jsonl", .broken_lines = 3}; }),
              HasSubstr("3 lines of recordings could not be read, the first of them in b.jsonl"));
  EXPECT_THAT(why([](Findings& f) {
                f.unpublished = Unpublished{.unfinished_recordings = 2};
                f.must_play_to_end = true;
              }),
              HasSubstr("2 recordings were not played to their end"));
  EXPECT_THAT(why([](Findings& f) { f.tables.clear(); }), HasSubstr("no market data"));
  EXPECT_THAT(why([](Findings& f) { read_missing("2\n", f); }), HasSubstr("not in ClickHouse"));
  EXPECT_THAT(why([](Findings& f) { read_counts("trades\t6\t5\n", f); }), HasSubstr("twice"));
  EXPECT_THAT(why([](Findings& f) { read_counts("rejected_messages\t1\t1\n", f); }), HasSubstr("rejected"));
  EXPECT_THAT(why([](Findings& f) { read_gaps("binance\tspot\tBTC-USDT\ttrade\tdisconnect\ta\tb\n", f); }),
              HasSubstr("data_gaps"));
}

TEST(Verdict, CountsGapsNotTheirRows) {
  EXPECT_THAT(sql_counts("d", kRange), AllOf(HasSubstr("'data_gaps', count()"), HasSubstr("FROM `d`.gaps WHERE"),
                                             Not(HasSubstr("`d`.data_gaps"))));
  EXPECT_THAT(sql_missing("d", kRange), HasSubstr("`d`.data_gaps"));
  EXPECT_THAT(sql_missing_sequences("d", kRange, 5),
              AllOf(HasSubstr("number + 11 AS sequence FROM numbers(7)"), HasSubstr("LIMIT 5")));
  EXPECT_THAT(sql_known_gaps("d", {"a-1", "b'\\"}), HasSubstr(R"(IN ('a-1', 'b\'\\'))"));
  EXPECT_EQ(read_sequences("11\n13\n"), (std::vector<std::uint64_t>{11, 13}));
}

TEST(Replaced, OnlyMessagesOfGapsWithNamesCount) {
  const auto line = [](const std::string& id) {
    return R"({"type":"gap","exchange":"binance","market_type":"spot","symbol":"BTC-USDT","instrument":"BTCUSDT",)"
           R"("timestamp":"2026-11-22T17:44:30Z","received_at":"2026-11-22T17:44:30Z","data_source":"live","data_type":"orderbook_delta",)"
           R"("cause":"sequence","gap_start":"2026-11-22T17:44:20Z","gap_end":"2026-11-22T17:44:30Z")" +
           (id.empty() ? "" : R"(,"gap_id":")" + id + "\"") + "}\n";
  };
  constexpr auto kSubject = "gap-data.binance.spot.BTC-USDT";
  EXPECT_EQ(gap_ids_of(kSubject, line("a") + line("b")), (GapIds{"a", "b"}));
  EXPECT_EQ(gap_ids_of(kSubject, line("a") + line("")), GapIds{});
  EXPECT_EQ(gap_ids_of(kSubject, line("a") + "{"), GapIds{});
  EXPECT_EQ(gap_ids_of("trade-data.binance.spot.BTC-USDT", line("a")), GapIds{});
  const auto places = places_of(line("a"));
  ASSERT_EQ(places.size(), 1u);
  EXPECT_THAT(places.front().text(), StartsWith("data_gaps|binance|spot|BTC-USDT|"));
  EXPECT_TRUE(places_of(line("a") + "{").empty()) << "what cannot be read proves nothing";
  const auto place = places.front();
  EXPECT_EQ(count_all_known(
                {Told{{"a"}, {}}, Told{{}, {place}}, Told{{}, {place, EventPlace{"trades", "x", "spot", "y", {}}}}},
                {place.text()}),
            (Known{0, 1}));
  std::set<std::string, std::less<>> known;
  read_lines("a\nb\n", known);
  EXPECT_EQ(count_all_known({{{"a", "b"}, {}}, {{"a"}, {}}, {{"a", "c"}, {}}}, known), (Known{2, 0}))
      << "c is nowhere: its message is missing";
}

TEST(Verdict, WhatWasStoredBeforeIsDataToo) {
  Findings findings;
  EXPECT_FALSE(judge(findings, kRange, 0).good);
  findings.stored_before = 3;
  const auto verdict = judge(findings, kRange, 0);
  EXPECT_TRUE(verdict.good);
  EXPECT_THAT(verdict.lines, Contains(HasSubstr("3 of these messages were published again")));
}

TEST(Verdict, SaysWhyThereIsNoDataAndHowToGoOn) {
  Findings findings;
  findings.unpublished = Unpublished{.all_counted = true};
  findings.is_playback = true;
  findings.data = "/srv/d";
  findings.bus_says_stored = true;
  findings.missing_messages = kRange.last - kRange.after;
  auto lines = judge(findings, kRange, 0).lines;
  EXPECT_THAT(
      lines,
      Contains(HasSubstr(
          "all of them were stored before, and ClickHouse has none of them: its tables are new ones (was /srv/d/clickhouse removed")));
  EXPECT_THAT(lines, Contains(HasSubstr("play the recordings into a new folder (--data /srv/d-2)")));
  EXPECT_THAT(lines.back(), HasSubstr("NOT GOOD: no market data reached ClickHouse"));
  findings.is_playback = false;
  EXPECT_THAT(judge(findings, kRange, 0).lines, Contains(HasSubstr("journal convert --to capture /srv/d/journal")));
  findings.bus_says_stored = false;
  EXPECT_THAT(judge(findings, kRange, 0).lines, Not(Contains(HasSubstr("seen: "))))
      << "storage is behind: that is another matter";

  findings.is_playback = true;
  findings.missing_messages = 0;
  BusRange empty = kRange;
  empty.last = empty.after;
  EXPECT_THAT(judge(findings, empty, 0).lines,
              Contains(HasSubstr("everything was published and acknowledged before, and the stream is a new one")));
  EXPECT_THAT(judge(findings, empty, 0).lines, Contains(HasSubstr("ClickHouse has no rows either")));
  findings.rows_of_others = 12;
  EXPECT_THAT(judge(findings, empty, 0).lines,
              Contains(HasSubstr("ClickHouse has 12 rows from streams that are gone")));
}

TEST(Verdict, TradesAloneOrDeltasAloneAreData) {
  Findings findings;
  read_counts("orderbook_deltas\t1\t1\n", findings);
  EXPECT_TRUE(judge(findings, kRange, 0).good);
}

TEST(StatusText, ShowsWhatIsNotWell) {
  Status status;
  status.uptime = 3661s;
  status.parts = {{"nats", {PartState::running, 0, true, {}}, 12, ""},
                  {"collector", {PartState::backing_off, 3, true, {}}, 0, "not connected"}};
  status.flow.events_per_second = 512.4;
  EXPECT_THAT(status_line(status), AllOf(HasSubstr("1:01:01"), HasSubstr("events/s 512"),
                                         HasSubstr("collector restarting (not connected)"), Not(HasSubstr("nats"))));
  EXPECT_THAT(status_table(status), AllOf(HasSubstr("nats"), HasSubstr("restarting"), HasSubstr("3")));
}

TEST(Rates, ComeFromTheLastSecondsAndBeginAnewAfterARestart) {
  Rate rate;
  EXPECT_EQ(rate.per_second(), std::nullopt);
  for (int i = 0; i <= 20; ++i) rate.add(static_cast<std::uint64_t>(i * 100), MonoTime{1s * i});
  EXPECT_DOUBLE_EQ(*rate.per_second(), 100);
  rate.add(5, MonoTime{21s});
  EXPECT_EQ(rate.per_second(), std::nullopt);
}

TEST(Preflight, ATakenPortIsNamedWithItsHolderAndTheOption) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(fd, 1), 0);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  const auto result = check_ports({{"nats", "NATS clients", "--nats-port", ntohs(address.sin_port)}});
  ASSERT_FALSE(result);
  EXPECT_THAT(
      result.error().text(),
      AllOf(HasSubstr(fmt::format("port {} (NATS clients) is taken by pid {}", ntohs(address.sin_port), ::getpid())),
            HasSubstr("--nats-port moves it")));
  ::close(fd);
}

TEST(Preflight, AFolderThatCannotBeUsedIsNamed) {
  const auto impossible = check_folder("/proc/marketprism");
  ASSERT_FALSE(impossible);
  EXPECT_THAT(impossible.error().text(), AllOf(HasSubstr("/proc/marketprism"), HasSubstr("--data")));
  const auto full = check_folder(testing::TempDir(), 1ull << 60);
  ASSERT_FALSE(full);
  EXPECT_THAT(full.error().text(), AllOf(HasSubstr("MB are free"), HasSubstr("--data")));
}

TEST(Preflight, OneLauncherPerFolder) {
  std::string pattern = testing::TempDir() + "lock_XXXXXX";
  const std::string folder = ::mkdtemp(pattern.data());
  {
    const auto first = FolderLock::take(folder);
    ASSERT_TRUE(first);
    const auto second = FolderLock::take(folder);
    ASSERT_FALSE(second);
    EXPECT_THAT(second.error().text(), HasSubstr(fmt::format("pid {}", ::getpid())));
  }
  EXPECT_TRUE(FolderLock::take(folder));
  std::filesystem::remove_all(folder);
}

TEST(Logs, AreCutIntoLinesAndKeptSmall) {
  const std::string path = testing::TempDir() + "launcher_log_test.log";
  std::filesystem::remove(path);
  std::vector<std::string> lines;
  {
    LogFile log(path, 100, 2);
    const auto keep = [&](const std::string& line) { lines.push_back(line); };
    log.append("one\ntw", keep);
    log.append("o\n", keep);
    for (int i = 0; i < 30; ++i) log.append("0123456789\n", keep);
    EXPECT_EQ(log.last_lines().size(), 8u);
  }
  EXPECT_EQ(lines[0], "one");
  EXPECT_EQ(lines[1], "two");
  EXPECT_LE(std::filesystem::file_size(path), 100u);
  EXPECT_LE(std::filesystem::file_size(path + ".1"), 100u);
  EXPECT_LE(std::filesystem::file_size(path + ".2"), 100u);
  EXPECT_FALSE(std::filesystem::exists(path + ".3")) << "only so many are kept";
  std::filesystem::remove(path + ".2");
  std::filesystem::remove(path);
  std::filesystem::remove(path + ".1");
}

TEST(Logs, WarningsOfOursAndOfNatsAreAlarming) {
  EXPECT_TRUE(is_alarming("2026-11-23T04:00:00.000Z WARN storage: insert failed"));
  EXPECT_TRUE(is_alarming("[12] 2026/11/23 04:00:00.0 [ERR] disk"));
  EXPECT_TRUE(is_alarming("marketprism storage: conflict: x"));
  EXPECT_FALSE(is_alarming("2026-11-23T04:00:00.000Z INFO storage: started"));
  EXPECT_TRUE(is_warning("2026-11-23T04:00:00.000Z WARN storage: insert failed"));
  EXPECT_FALSE(is_warning("2026-11-23T04:00:00.000Z ERROR storage: insert failed"));
  EXPECT_FALSE(is_warning("[12] 2026/11/23 04:00:00.0 [ERR] disk"));
  EXPECT_FALSE(is_warning("2026-11-23T04:00:00.000Z INFO storage: started"));
  EXPECT_FALSE(is_alarming(
      "[12] 2026/11/23 04:00:00.0 [WRN] Healthcheck failed: \"JetStream stream '$G > KV_MARKETPRISM' could not be recovered\""));
  EXPECT_FALSE(is_alarming(
      "2026-11-23T04:00:00.000Z INFO collector: a symbol of a long message that goes on and on and names some ERROR here"));
}

TEST(Processes, SayWhatCouldNotBeStarted) {
  const auto missing = Process::start({"/no/such/program"}, {});
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().text(), HasSubstr("/no/such/program"));
}

std::string end_of(Result<Process> process) {
  std::optional<ExitStatus> status;
  for (int i = 0; process && i < 1000 && !status; ++i) {
    status = process->poll_exit();
    if (!status) ::usleep(5000);
  }
  return status ? status->text() : "it did not end";
}

TEST(Processes, SeeTheAddedEnvironment) {
  EXPECT_EQ(end_of(Process::start({"/bin/sh", "-c", "exit $MP_TEST_STATUS"}, {{"MP_TEST_STATUS", "7"}})),
            "exit status 7");
}

TEST(Processes, StandBackAsFarAsTheyAreTold) {
  const int own = ::nice(0);
  ASSERT_LE(own, 16) << "the test itself runs at this niceness: 19 is the most";
  // An exit status is not negative; a niceness may be, down to -20.
  EXPECT_EQ(end_of(Process::start({"/bin/sh", "-c", "exit $(($(nice) + 40))"}, {}, 3)),
            fmt::format("exit status {}", own + 43));
}

}  // namespace
}  // namespace mp::launcher
