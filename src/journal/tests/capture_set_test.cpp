#include "journal/capture_set.hpp"

#include <gmock/gmock.h>

#include "journal/capture_file.hpp"
#include "journal/capture_line.hpp"
#include "journal/tests/support.hpp"

namespace mp::journal {
namespace {

using namespace testing_support;
using testing::ElementsAre;
using testing::HasSubstr;
namespace fs = std::filesystem;

std::optional<Source> source_of(std::string_view url) {
  if (url.find("spot") != url.npos) return kSpot;
  if (url.find("okx") != url.npos) return kOkx;
  return std::nullopt;
}

struct CaptureSetTest : testing::Test {
  TemporaryDirectory directory;

  fs::path file(const std::string& name, const std::vector<std::string>& lines) {
    std::string text;
    for (const auto& line : lines) text += line + "\n";
    write_file(directory.path() / name, text);
    return directory.path() / name;
  }

  // "kind connection source time payload" of each record.
  static std::vector<std::string> played(CaptureSet& set) {
    static const std::map<RecordKind, std::string> names{{RecordKind::start, "start"},
                                                         {RecordKind::stop, "stop"},
                                                         {RecordKind::opened, "opened"},
                                                         {RecordKind::closed, "closed"},
                                                         {RecordKind::text, "text"},
                                                         {RecordKind::binary, "binary"},
                                                         {RecordKind::rest, "rest"},
                                                         {RecordKind::sent, "sent"},
                                                         {RecordKind::flush, "flush"},
                                                         {RecordKind::rest_failed, "rest_failed"},
                                                         {RecordKind::configured, "configured"},
                                                         {RecordKind::unreadable, "unreadable"}};
    std::vector<std::string> out;
    while (const auto* record = set.next()) {
      std::string text = names.at(record->kind);
      if (record->connection != 0) text += " #" + std::to_string(record->connection);
      if (record->source != nullptr) text += " " + record->source->text();
      text += " ";
      append_epoch_seconds(text, record->received_at);
      if (record->kind == RecordKind::rest) text += " " + std::to_string(record->status);
      if (!record->url.empty()) text += " " + std::string(record->url);
      if (!record->payload.empty()) text += " " + std::string(record->payload);
      out.push_back(text);
    }
    EXPECT_FALSE(set.error().has_value()) << set.error()->text();
    return out;
  }
  static std::vector<std::string> play(const std::vector<fs::path>& files) {
    auto set = CaptureSet::open(files, source_of);
    EXPECT_TRUE(set.has_value()) << (set ? "" : set.error().text());
    return set ? played(*set) : std::vector<std::string>{};
  }
};

std::string line(const std::string& t, const std::string& dir, const std::string& transport, const std::string& url,
                 const std::string& raw, const std::string& conn = "") {
  return R"({"t":)" + t + R"(,"dir":")" + dir + R"(","transport":")" + transport + R"(","url":")" + url +
         R"(","raw":")" + raw + (conn.empty() ? "\"}" : R"(","conn":")" + conn + "\"}");
}

TEST_F(CaptureSetTest, PlaysARecordedSession) {
  const auto path = file("a", {line("10.5", "recv", "rest", "https://spot/info", "{}", "0"),
                               line("11", "connect", "ws", "wss://spot/s?x", "", "ws.1.0"),
                               line("12", "send", "ws", "wss://spot/s", "sub", "ws.1.0"),
                               line("13", "recv", "ws", "wss://spot/s", "one", "ws.1.0"),
                               line("12.5", "recv", "ws", "wss://spot/s", "two", "ws.1.0")});
  EXPECT_THAT(play({path}), ElementsAre("start 10.5", "rest binance.spot 10.5 200 https://spot/info {}",
                                        "opened #1 binance.spot 11 wss://spot/s?x", "sent #1 binance.spot 12 sub",
                                        "text #1 binance.spot 13 one", "text #1 binance.spot 12.5 two",
                                        "closed #1 binance.spot 12.5 stopped", "stop 12.5"));
}

TEST_F(CaptureSetTest, OpensConnectionsThatHaveNoConnectLine) {
  // Without connection ids too: then the address tells connections apart.
  const auto path =
      file("a", {line("1", "recv", "ws", "wss://spot/a", "one"), line("2", "recv", "ws", "wss://okx/b", "two"),
                 line("3", "recv", "ws", "wss://spot/a", "three")});
  EXPECT_THAT(play({path}),
              ElementsAre("start 1", "opened #1 binance.spot 1 wss://spot/a", "text #1 binance.spot 1 one",
                          "opened #2 okx 2 wss://okx/b", "text #2 okx 2 two", "text #1 binance.spot 3 three",
                          "closed #1 binance.spot 3 stopped", "closed #2 okx 3 stopped", "stop 3"));
}

TEST_F(CaptureSetTest, ASecondConnectOfAConnectionEndsTheFirst) {
  const auto path =
      file("a", {line("1", "connect", "ws", "wss://spot/a", "", "c"), line("2", "recv", "ws", "wss://spot/a", "x", "c"),
                 line("3", "connect", "ws", "wss://spot/a", "", "c"),
                 line("4", "disconnect", "ws", "wss://spot/a", "network", "c")});
  EXPECT_THAT(play({path}), ElementsAre("start 1", "opened #1 binance.spot 1 wss://spot/a", "text #1 binance.spot 2 x",
                                        "closed #1 binance.spot 3 replaced", "opened #2 binance.spot 3 wss://spot/a",
                                        "closed #2 binance.spot 4 network", "stop 4"));
}

TEST_F(CaptureSetTest, OneNameForConnectionsOfTwoSourcesIsTwoConnections) {
  // Two recordings merged by time: recorders number their connections alike.
  const auto path = file(
      "a",
      {line("1", "connect", "ws", "wss://spot/a?x", "", "c"), line("2", "recv", "ws", "wss://spot/a", "s1", "c"),
       line("3", "connect", "ws", "wss://okx/b", "", "c"), line("4", "recv", "ws", "wss://spot/a", "s2", "c"),
       line("5", "recv", "ws", "wss://okx/b", "o1", "c"), line("6", "recv", "ws", "wss://elsewhere", "s3", "c"),
       line("7", "disconnect", "ws", "wss://spot/a", "network", "c"), line("8", "recv", "ws", "wss://okx/b", "o2", "c"),
       line("9", "recv", "ws", "wss://spot/a", "s4", "c"), line("10", "connect", "ws", "wss://okx/b", "", "c")});
  EXPECT_THAT(play({path}),
              ElementsAre("start 1", "opened #1 binance.spot 1 wss://spot/a?x", "text #1 binance.spot 2 s1",
                          "opened #2 okx 3 wss://okx/b", "text #1 binance.spot 4 s2", "text #2 okx 5 o1",
                          "text #1 binance.spot 6 s3", "closed #1 binance.spot 7 network", "text #2 okx 8 o2",
                          "opened #3 binance.spot 9 wss://spot/a", "text #3 binance.spot 9 s4",
                          "closed #2 okx 10 replaced", "opened #4 okx 10 wss://okx/b",
                          "closed #3 binance.spot 10 stopped", "closed #4 okx 10 stopped", "stop 10"));
}

TEST_F(CaptureSetTest, ALineThatNamesItsSourceIsNotAnotherOnes) {
  const auto of_spot = [](const std::string& t, const std::string& raw) {
    auto text = line(t, "recv", "ws", "wss://elsewhere", raw, "7");
    text.insert(text.size() - 1, R"(,"exchange":"binance","market":"spot")");
    return text;
  };
  const auto path =
      file("a", {of_spot("1", "s1"), line("2", "recv", "ws", "wss://okx/b", "o1", "7"), of_spot("3", "s2")});
  EXPECT_THAT(play({path}),
              ElementsAre("start 1", "opened #7 binance.spot 1 wss://elsewhere", "text #7 binance.spot 1 s1",
                          "opened #8 okx 2 wss://okx/b", "text #8 okx 2 o1", "text #7 binance.spot 3 s2",
                          "closed #7 binance.spot 3 stopped", "closed #8 okx 3 stopped", "stop 3"));
}

TEST_F(CaptureSetTest, FilesRunSideBySideFromTheirOwnBeginnings) {
  const auto july =
      file("july",
           {line("1000", "recv", "ws", "wss://spot/a", "a0"), line("1002", "recv", "ws", "wss://spot/a", "a2"),
            line("1001", "recv", "ws", "wss://spot/a", "a1 late"), line("1004", "recv", "ws", "wss://spot/a", "a4")});
  const auto may =
      file("may", {line("50", "recv", "ws", "wss://okx/b", "b0"), line("51", "recv", "ws", "wss://okx/b", "b1"),
                   line("52", "recv", "ws", "wss://okx/b", "b2"), line("53", "recv", "ws", "wss://okx/b", "b3")});
  const auto one_way = play({july, may});
  EXPECT_EQ(one_way, play({may, july}));
  std::vector<std::string> payloads;
  for (const auto& record : one_way)
    if (record.starts_with("text")) payloads.push_back(record.substr(record.rfind(' ') + 1));
  // At offsets 0 and 2 both are due: the file with the smaller SHA-256 goes first, and it goes on while its next line
  // is due.
  const bool july_first = *sha256_of_file(july) < *sha256_of_file(may);
  if (july_first)
    EXPECT_THAT(payloads, ElementsAre("a0", "b0", "b1", "a2", "late", "b2", "b3", "a4"));
  else
    EXPECT_THAT(payloads, ElementsAre("b0", "a0", "b1", "b2", "a2", "late", "b3", "a4"));
  // One start and one stop; each file's connection is closed when its file ends.
  EXPECT_EQ(std::count_if(one_way.begin(), one_way.end(), [](const auto& r) { return r.starts_with("start"); }), 1);
  EXPECT_EQ(one_way.back(), "stop 1004");
  EXPECT_THAT(one_way[one_way.size() - 2], HasSubstr("closed"));
  EXPECT_THAT(one_way,
              testing::Contains(HasSubstr("closed #" + std::string(july_first ? "2" : "1") + " okx 53 stopped")));
}

TEST_F(CaptureSetTest, TellsWhenEachRecordIsDue) {
  const auto path =
      file("a", {line("1000.25", "recv", "ws", "wss://spot/a", "x"), line("1001", "recv", "ws", "wss://spot/a", "y"),
                 line("1000.5", "recv", "ws", "wss://spot/a", "z")});
  auto set = CaptureSet::open({path}, source_of);
  std::vector<std::int64_t> due;
  while (const auto* record = set->next())
    if (record->kind == RecordKind::text) due.push_back(set->offset().count());
  EXPECT_THAT(due, ElementsAre(0, 750'000'000, 750'000'000));
}

TEST_F(CaptureSetTest, ItsIdIsTheHashOfTheFilesWhateverTheirOrder) {
  const auto a = file("a", {line("1", "recv", "ws", "wss://spot/a", "x")});
  const auto b = file("b", {line("1", "recv", "ws", "wss://spot/a", "y")});
  const auto both = CaptureSet::open({a, b}, source_of)->journal_id();
  EXPECT_EQ(both, CaptureSet::open({b, a}, source_of)->journal_id());
  const auto alone = CaptureSet::open({a}, source_of)->journal_id();
  EXPECT_NE(both, alone);
  const auto sha = *sha256_of_file(a);
  EXPECT_TRUE(std::equal(alone.bytes.begin(), alone.bytes.end(), sha.begin(),
                         [](auto x, char y) { return x == static_cast<unsigned char>(y); }));
  write_file(directory.path() / "empty", "");
  EXPECT_EQ(CaptureSet::open({directory.path() / "empty"}, source_of)->journal_id().text(),
            "e3b0c44298fc1c149afbf4c8996fb924");
}

TEST_F(CaptureSetTest, RefusesTheSameFileTwiceAndNoFile) {
  const auto a = file("a", {line("1", "recv", "ws", "wss://spot/a", "x")});
  const auto twice = CaptureSet::open({a, a}, source_of);
  ASSERT_FALSE(twice.has_value());
  EXPECT_EQ(twice.error().code, Errc::usage);
  EXPECT_EQ(CaptureSet::open({}, source_of).error().code, Errc::usage);
  EXPECT_EQ(CaptureSet::open({directory.path() / "none"}, source_of).error().code, Errc::io);
}

TEST_F(CaptureSetTest, LeavesOutAndCountsLinesOfUnknownSources) {
  const auto a = file(
      "a", {line("1", "recv", "ws", "wss://elsewhere/a", "x"), line("2", "recv", "rest", "https://elsewhere/b", "y"),
            line("3", "recv", "ws", "wss://spot/a", "z"), line("3", "connect", "ws", "wss://elsewhere/a", "")});
  auto set = CaptureSet::open({a}, source_of);
  EXPECT_EQ(played(*set).size(), 5u);  // start, opened, text, closed, stop
  EXPECT_EQ(set->skipped_lines(), 3u);
  EXPECT_THAT(set->skipped_urls(), ElementsAre("wss://elsewhere/a", "https://elsewhere/b"));
}

TEST_F(CaptureSetTest, ALinesOwnExchangeAndMarketComeFirst) {
  const auto a =
      file("a", {R"({"t":1,"dir":"recv","transport":"ws","url":"wss://127.0.0.1:1","raw":"x","exchange":"deribit"})"});
  EXPECT_THAT(play({a})[1], HasSubstr("opened #1 deribit 1"));
}

TEST_F(CaptureSetTest, GoesOnBehindALineThatCannotBeReadAndMakesARecordOfIt) {
  const auto a = file("a", {line("1", "recv", "ws", "wss://spot/a", "x", "7"), "", "{\"t\":2}", "\x01garbage\xff",
                            line("3", "recv", "ws", "wss://spot/a", "y", "7")});
  auto set = CaptureSet::open({a}, source_of);
  EXPECT_THAT(played(*set),
              ElementsAre("start 1", "opened #7 binance.spot 1 wss://spot/a", "text #7 binance.spot 1 x",
                          "unreadable binance.spot 1 missing field: line 3, field dir: {\"t\":2} {\"t\":2}",
                          testing::AllOf(HasSubstr("unreadable binance.spot 1 not JSON: line 4"),
                                         HasSubstr(R"(\x01garbage\xff)"), testing::EndsWith(" \x01garbage\xff")),
                          "text #7 binance.spot 3 y", "closed #7 binance.spot 3 stopped", "stop 3"));
  EXPECT_EQ(set->broken_lines(), 2u);
  ASSERT_EQ(set->broken().size(), 2u);
  EXPECT_EQ(set->broken()[0].where, a.string() + ": line 3, field dir");
}

TEST_F(CaptureSetTest, BrokenLinesAtTheBeginningAreThoseOfTheFirstSource) {
  const auto a = file("a", {"nothing", line("5", "recv", "ws", "wss://okx/a", "x")});
  EXPECT_THAT(play({a}),
              ElementsAre("start 5", HasSubstr("unreadable okx 5 not JSON: line 1"), "opened #1 okx 5 wss://okx/a",
                          "text #1 okx 5 x", "closed #1 okx 5 stopped", "stop 5"));
}

TEST_F(CaptureSetTest, ComplaintsAndRecordsOfBrokenLinesAreBounded) {
  std::vector<std::string> lines{line("1", "recv", "ws", "wss://spot/a", "x")};
  lines.insert(lines.end(), 3000, "garbage");
  lines.push_back(line("2", "recv", "ws", "wss://spot/a", "y"));
  auto set = CaptureSet::open({file("a", lines)}, source_of);
  const auto records = played(*set);
  EXPECT_EQ(std::ranges::count_if(records, [](const auto& r) { return r.starts_with("unreadable"); }), 1000);
  EXPECT_EQ(records[records.size() - 3], "text #1 binance.spot 2 y");
  EXPECT_EQ(set->broken_lines(), 3000u);
  EXPECT_EQ(set->broken().size(), 10u);
}

TEST_F(CaptureSetTest, TakesByteOrderMarksForeignLineEndsAndNoLineEndAtTheEnd) {
  const auto path = directory.path() / "a";
  write_file(path, "\xEF\xBB\xBF" + line("1", "recv", "ws", "wss://spot/a", "x") + "\r\n\r\n" +
                       line("2", "recv", "ws", "wss://spot/a", "y"));
  EXPECT_THAT(play({path}), ElementsAre("start 1", "opened #1 binance.spot 1 wss://spot/a", "text #1 binance.spot 1 x",
                                        "text #1 binance.spot 2 y", "closed #1 binance.spot 2 stopped", "stop 2"));
}

TEST_F(CaptureSetTest, ALastLineThatIsCutShortIsToldAndMakesNoRecord) {
  const auto path = directory.path() / "a";
  const auto whole = line("1", "recv", "ws", "wss://spot/a", "x") + "\n";
  write_file(path, whole + R"({"t":2,"dir":"re)");
  auto set = CaptureSet::open({path}, source_of);
  EXPECT_EQ(played(*set).size(), 5u);
  EXPECT_EQ(set->broken_lines(), 1u);
  EXPECT_THAT(set->broken()[0].text(), HasSubstr("the file ends in this line"));
  const auto facts = look_at_captures({path}, source_of);
  ASSERT_TRUE(facts) << facts.error().text();
  EXPECT_EQ(facts->front().bytes, whole.size());
  EXPECT_TRUE(facts->front().cut_short.has_value());
}

TEST_F(CaptureSetTest, ALineThatIsTooLongIsPassedOver) {
  const auto path = directory.path() / "a";
  write_file(path, line("1", "recv", "ws", "wss://spot/a", "x") + "\n" + std::string(kMaxCaptureLine + 3'000'000, 'z') +
                       "\n" + line("2", "recv", "ws", "wss://spot/a", "y") + "\n");
  auto set = CaptureSet::open({path}, source_of);
  std::vector<std::string> texts;
  std::size_t kept = 0;
  while (const auto* record = set->next()) {
    if (record->kind == RecordKind::text) texts.emplace_back(record->payload);
    if (record->kind == RecordKind::unreadable) kept = record->payload.size();
  }
  EXPECT_THAT(texts, ElementsAre("x", "y"));
  EXPECT_EQ(kept, kMaxBrokenText);
  ASSERT_EQ(set->broken_lines(), 1u);
  EXPECT_THAT(set->broken()[0].text(), HasSubstr("line 2: 70108865 bytes"));
}

TEST_F(CaptureSetTest, NamesFilesThatAreNoTextAtAll) {
  const std::pair<std::string, std::string> kinds[] = {{std::string("\x1f\x8b\x08\x00", 4), "gzip -dc"},
                                                       {"\x28\xb5\x2f\xfd", "zstd -dc"},
                                                       {"MPJRNL\r\n", "marketprism journal cat"},
                                                       {"\xff\xfe{", "iconv"}};
  for (const auto& [bytes, told] : kinds) {
    write_file(directory.path() / "a", bytes + "more");
    const auto facts = look_at_captures({directory.path() / "a"}, source_of);
    ASSERT_FALSE(facts);
    EXPECT_EQ(facts.error().code, Errc::usage);
    EXPECT_THAT(facts.error().text(), HasSubstr(told));
  }
  const auto notes = look_at_captures({file("notes", {"hello", "world"})}, source_of);
  ASSERT_FALSE(notes);
  EXPECT_THAT(notes.error().text(), testing::AllOf(HasSubstr("notes: line 1"), HasSubstr("no line of it can be read")));
}

// A recording that is played in parts gives the same records as one that is played at once with the same ends.
TEST_F(CaptureSetTest, WhatAPartReleasedDoesNotDependOnWhatStandsBehindIt) {
  std::vector<std::string> lines{line("1", "connect", "ws", "wss://spot/a", "", "1"),
                                 line("2", "recv", "ws", "wss://spot/a", "x", "1"),
                                 "garbage",
                                 "",
                                 line("3", "recv", "ws", "wss://okx/b", "y", "2"),
                                 "more garbage",
                                 line("4", "recv", "ws", "wss://spot/a", "z", "1"),
                                 line("5", "recv", "ws", "wss://okx/b", "w", "2")};
  std::vector<std::uint64_t> ends{0};
  for (const auto& each : lines) ends.push_back(ends.back() + each.size() + 1);
  const auto path = file("a", lines);
  const auto play_parts = [&](const std::vector<CaptureSet::Boundary>& boundaries, bool close) {
    auto set = CaptureSet::open_part(path, boundaries, source_of);
    std::vector<std::string> out;
    while (true) {
      for (auto& each : played(*set)) out.push_back(std::move(each));
      if (!set->at_boundary()) return out;
      if (close)
        for (const auto& record : set->closing()) out.push_back("closed #" + std::to_string(record.connection));
      set->resume(close);
    }
  };
  for (std::size_t first = 1; first < ends.size(); ++first) {
    for (const bool close : {false, true}) {
      // At the line's end, and without its line end.
      for (const auto end : {ends[first], ends[first] - 1}) {
        if (end != ends[first] && lines[first - 1].ends_with("garbage")) continue;  // cut short: no part ends there
        const auto part = play_parts({{end, std::nullopt}}, close);
        auto whole = play_parts({{end, close}, {ends.back(), std::nullopt}}, close);
        ASSERT_LT(part.size(), whole.size() + 1);
        for (std::size_t i = 0; i < part.size(); ++i) {
          const auto& mine = part[i];
          EXPECT_TRUE(whole[i] == mine || (mine.starts_with("closed") && whole[i].starts_with(mine)))
              << first << ": " << whole[i] << " in the place of " << mine;
        }
      }
    }
  }
  EXPECT_THAT(play_parts({{ends[2], false}, {ends.back(), std::nullopt}}, false),
              ElementsAre("start 1", "opened #1 binance.spot 1 wss://spot/a", "text #1 binance.spot 2 x",
                          "flush binance.spot 2", HasSubstr("unreadable binance.spot 2"), "opened #2 okx 3 wss://okx/b",
                          "text #2 okx 3 y", HasSubstr("unreadable okx 3"), "text #1 binance.spot 4 z",
                          "text #2 okx 5 w", "flush binance.spot 5", "flush okx 5"));
}

TEST_F(CaptureSetTest, StartAndStopLinesOfAnOnlyFileAreItsOwn) {
  const std::vector<std::string> lines{R"({"t":1,"dir":"start","transport":"control","url":"","raw":""})",
                                       line("2", "connect", "ws", "wss://spot/a", "", "7"),
                                       R"({"t":3,"dir":"stop","transport":"control","url":"","raw":""})",
                                       R"({"t":4,"dir":"start","transport":"control","url":"","raw":""})",
                                       line("5", "connect", "ws", "wss://spot/a", "", "9"),
                                       R"({"t":6,"dir":"stop","transport":"control","url":"","raw":""})"};
  EXPECT_THAT(play({file("a", lines)}), ElementsAre("start 1", "opened #7 binance.spot 2 wss://spot/a", "stop 3",
                                                    "start 4", "opened #9 binance.spot 5 wss://spot/a", "stop 6"));
  const auto with_another = play({file("a", lines), file("b", {line("1", "recv", "rest", "https://okx/x", "y")})});
  EXPECT_EQ(
      std::count_if(with_another.begin(), with_another.end(), [](const auto& r) { return r.starts_with("start"); }), 1);
  EXPECT_EQ(with_another.back(), "stop 6");
}

TEST_F(CaptureSetTest, PlaysTheRecordedSessionsWhole) {
  std::vector<fs::path> files;
  for (const char* name : {"binance_usdm", "binance_spot", "okx_mixed"})
    files.push_back(fs::path(MP_SHARED_DIR) / "captures" / (std::string(name) + ".jsonl"));
  if (!fs::exists(files[0])) GTEST_SKIP() << "no recorded sessions at " MP_SHARED_DIR "/captures";
  auto set = CaptureSet::open(files, [](std::string_view) { return std::optional<Source>(kSpot); });
  ASSERT_TRUE(set.has_value());
  std::map<RecordKind, int> counts;
  Nanos due{0};
  while (const auto* record = set->next()) {
    ++counts[record->kind];
    EXPECT_LE(due, set->offset());
    due = set->offset();
  }
  EXPECT_FALSE(set->error().has_value()) << set->error()->text();
  EXPECT_EQ(set->skipped_lines(), 0u);
  const std::map<RecordKind, int> expected{{RecordKind::start, 1},
                                           {RecordKind::stop, 1},
                                           {RecordKind::opened, 3},
                                           {RecordKind::closed, 3},
                                           {RecordKind::text, 1535 + 265 + 410},
                                           {RecordKind::rest, 15},
                                           {RecordKind::sent, 3}};
  EXPECT_EQ(counts, expected);
}

TEST_F(CaptureSetTest, RecordingsWithASourceInCommonArePlayedOneAfterTheOther) {
  const auto at = [](const char* t, const char* url) {
    return std::vector<std::string>{line(t, "recv", "ws", url, "{}")};
  };
  const auto spot_late = file("spot_late", at("500.0", "wss://spot"));
  const auto spot_early = file("spot_early", at("100.0", "wss://spot"));
  const auto okx = file("okx", at("300.0", "wss://okx"));
  const auto unknown = file("unknown", at("1.0", "wss://nobody"));
  const auto facts = look_at_captures({spot_late, okx, unknown, spot_early}, source_of);
  ASSERT_TRUE(facts) << facts.error().text();
  EXPECT_THAT(in_playing_order(*facts), testing::UnorderedElementsAre(ElementsAre(spot_early, spot_late),
                                                                      ElementsAre(okx), ElementsAre(unknown)));
  // One that holds both joins them.
  auto lines = at("200.0", "wss://spot");
  lines.push_back(at("200.5", "wss://okx").front());
  const auto both = file("both", lines);
  EXPECT_THAT(in_playing_order(*look_at_captures({spot_late, okx, spot_early, both}, source_of)),
              ElementsAre(ElementsAre(spot_early, both, okx, spot_late)));
  EXPECT_FALSE(look_at_captures({okx, okx}, source_of));
}

}  // namespace
}  // namespace mp::journal
