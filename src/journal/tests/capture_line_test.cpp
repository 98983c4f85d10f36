#include "journal/capture_line.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <vector>

namespace mp::journal {
namespace {

using testing::HasSubstr;

// A line with the padding that the reader asks for, in memory of exactly that size (so that the
// address sanitizer sees any reading beyond).
struct Padded {
  explicit Padded(std::string_view text) : bytes(text.begin(), text.end()), size(text.size()) {
    bytes.resize(size + RawRecord::kFramePadding);
  }
  std::string_view view() const { return {bytes.data(), size}; }
  std::vector<char> bytes;
  std::size_t size;
};

Result<CaptureLine> read(CaptureLineReader& reader, std::string_view text) {
  return reader.read(Padded(text).view(), 7);
}

Error error_of(std::string_view text) {
  CaptureLineReader reader;
  auto line = read(reader, text);
  EXPECT_FALSE(line.has_value()) << text;
  return line.has_value() ? Error{} : line.error();
}

std::string written(const CaptureLine& line) {
  std::string out;
  append_capture_line(out, line);
  return out;
}

TEST(CaptureLine, ReadsKeysInAnyOrderAndIgnoresUnknownOnes) {
  CaptureLineReader reader;
  const auto line = read(
      reader,
      R"({"raw":"{\"e\":\"trade\"}","extra":{"deep":[1,{"t":5}]},"conn":"ws.1.0","url":"wss://a/b","transport":"ws","dir":"recv", "t" : 1626992741.081672 })");
  ASSERT_TRUE(line.has_value()) << line.error().text();
  EXPECT_EQ(line->kind, RecordKind::text);
  EXPECT_EQ(line->received_at, wall_from_nanos(1626992741081672000));
  EXPECT_EQ(line->payload, R"({"e":"trade"})");
  EXPECT_EQ(line->url, "wss://a/b");
  EXPECT_EQ(line->conn, "ws.1.0");
  EXPECT_EQ(line->status, 0);
}

TEST(CaptureLine, KeepsTheTimeExactWhetherNumberOrString) {
  CaptureLineReader reader;
  for (const char* t : {"1633998512.063356912", "\"1633998512.063356912\""}) {
    const auto line = read(reader, std::string(R"({"dir":"start","transport":"control","t":)") + t + "}");
    ASSERT_TRUE(line.has_value()) << line.error().text();
    EXPECT_EQ(nanos_since_epoch(line->received_at), 1633998512063356912);
    const auto first = read(reader, std::string(R"({"t": )") + t + R"(, "dir": "start", "transport": "control"})");
    ASSERT_TRUE(first.has_value()) << first.error().text();
    EXPECT_EQ(nanos_since_epoch(first->received_at), 1633998512063356912);
  }
}

TEST(CaptureLine, ErrorsNameTheLineAndTheField) {
  EXPECT_EQ(error_of(R"({"dir":"recv","transport":"ws","raw":""})").where, "line 7, field t");
  EXPECT_EQ(error_of(R"({"t":1,"transport":"ws","raw":""})").where, "line 7, field dir");
  EXPECT_EQ(error_of(R"({"t":1,"dir":"recv","raw":""})").where, "line 7, field transport");
  EXPECT_EQ(error_of(R"({"t":1,"dir":"recv","transport":"ws"})").where, "line 7, field raw");
  EXPECT_EQ(error_of(R"({"t":1,"dir":"recv","transport":"ws","raw":5})").where, "line 7, field raw");
  const auto bad_time = error_of(R"({"t":1.0000000001,"dir":"recv","transport":"ws","raw":""})");
  EXPECT_EQ(bad_time.code, Errc::bad_time);
  EXPECT_EQ(bad_time.seen, "1.0000000001");
  EXPECT_EQ(error_of(R"({"t":true,"dir":"recv","transport":"ws","raw":""})").code, Errc::bad_type);
  const auto bad_dir = error_of(R"({"t":1,"dir":"up","transport":"ws","raw":""})");
  EXPECT_EQ(bad_dir.code, Errc::bad_value);
  EXPECT_THAT(bad_dir.seen, HasSubstr("\"up\" of \"ws\""));
  EXPECT_EQ(error_of(R"({"t":1,"dir":"recv","transport":"rest","raw":"","status":7})").where, "line 7, field status");
  EXPECT_EQ(error_of(R"({"t":1,"dir":"recv","transport":"ws","raw_base64":"a"})").where, "line 7, field raw_base64");
  EXPECT_EQ(error_of("[]").where, "line 7");
  EXPECT_EQ(error_of("").code, Errc::not_json);
}

TEST(CaptureLine, RefusesEveryPrefixOfALine) {
  const std::string text =
      R"({"t":1626992741.081672,"dir":"recv","transport":"ws","url":"wss://a","raw":"{\"p\":\"1\u00e9\"}","conn":"1"})";
  CaptureLineReader reader;
  ASSERT_TRUE(read(reader, text).has_value());
  for (std::size_t n = 0; n < text.size(); ++n) EXPECT_FALSE(read(reader, text.substr(0, n)).has_value()) << n;
  EXPECT_FALSE(read(reader, text + "x").has_value());
  EXPECT_FALSE(read(reader, text + text).has_value());
}

TEST(CaptureLine, EveryKindSurvivesWritingAndReading) {
  CaptureLineReader reader;
  const std::string not_utf8("\xff\x00\x01 \x80", 5);
  static constexpr char kEscapes[] = "quote \" slash \\ tab \t nul \0 \x1f é €";
  const std::string escapes(kEscapes, sizeof kEscapes - 1);
  const auto at = wall_from_nanos(1700000000000000001);
  const std::vector<CaptureLine> lines{
      {RecordKind::start, at, "", "", "", 0, "", ""},
      {RecordKind::stop, at, "", "", "", 0, "", ""},
      {RecordKind::opened, at, "wss://x/stream?streams=a@b/c", "", "1", 0, "binance", "spot"},
      {RecordKind::closed, at, "wss://x", "stale: 30 s without data", "1", 0, "binance", "spot"},
      {RecordKind::text, at, "wss://x", escapes, "1", 0, "binance", "spot"},
      {RecordKind::text, at, "wss://x", not_utf8, "1", 0, "binance", "spot"},
      {RecordKind::binary, at, "wss://x", "{\"utf8\":1}", "1", 0, "okx", ""},
      {RecordKind::binary, at, "wss://x", not_utf8, "1", 0, "okx", ""},
      {RecordKind::rest, at, "https://x/depth?symbol=A", "{}", "", 200, "binance", "spot"},
      {RecordKind::rest, at, "https://x/depth?symbol=A", not_utf8, "", 429, "binance", "spot"},
      {RecordKind::sent, at, "wss://x", "{\"op\":\"subscribe\"}", "1", 0, "okx", ""},
      {RecordKind::flush, at, "", "", "", 0, "okx", ""},
      {RecordKind::configured, at, "", "data trade\nsymbol symbol=BTC-USDT\n", "", 0, "okx", ""},
      {RecordKind::unreadable, at, "line 7: not JSON", not_utf8, "", 0, "okx", ""},
      {RecordKind::rest_failed, at, "https://x", "time-out after 10 s", "", 0, "okx", ""},
  };
  for (const auto& line : lines) {
    auto text = written(line);
    ASSERT_EQ(text.back(), '\n');
    text.pop_back();
    EXPECT_EQ(text.find('\n'), text.npos);
    const auto back = read(reader, text);
    ASSERT_TRUE(back.has_value()) << text << ": " << back.error().text();
    EXPECT_EQ(back->kind, line.kind) << text;
    EXPECT_EQ(back->payload, line.payload);
    EXPECT_EQ(back->status, line.status);
    EXPECT_EQ(written(*back), text + "\n");
  }
}

TEST(CaptureLine, PrintsTheDocumentedForm) {
  EXPECT_EQ(
      written({RecordKind::rest, wall_from_nanos(1626992741081672000), "https://a/b?c=1", "{\"x\":1}", "", 418,
               "binance", "spot"}),
      R"({"t":1626992741.081672,"dir":"recv","transport":"rest","url":"https://a/b?c=1","raw":"{\"x\":1}","exchange":"binance","market":"spot","status":418})"
      "\n");
}

TEST(CaptureLine, PayloadHasReadableBytesBehindIt) {
  CaptureLineReader reader;
  for (const char* payload : {"", "x", "longer text of a frame"}) {
    const auto line = read(reader, std::string(R"({"t":1,"dir":"recv","transport":"ws","raw":")") + payload + "\"}");
    ASSERT_TRUE(line.has_value());
    unsigned sum = 0;  // the address sanitizer is what judges this
    for (std::size_t i = 0; i < RawRecord::kFramePadding; ++i)
      sum += static_cast<unsigned char>(line->payload.data()[line->payload.size() + i]);
    EXPECT_LE(sum, 255u * 64);
  }
}

TEST(CaptureLine, ReadsEveryLineOfTheRecordedSessions) {
  std::size_t lines = 0;
  CaptureLineReader reader;
  for (const char* name :
       {"binance_usdm", "binance_spot", "okx_mixed", "deribit_derivatives", "upbit_spot", "huobi_spot"}) {
    std::ifstream in(std::string(MP_SHARED_DIR) + "/captures/" + name + ".jsonl");
    if (!in) GTEST_SKIP() << "no recorded sessions at " MP_SHARED_DIR "/captures";
    std::string text;
    for (std::uint64_t n = 1; std::getline(in, text); ++n, ++lines) {
      const auto line = reader.read(Padded(text).view(), n);
      ASSERT_TRUE(line.has_value()) << name << ": " << line.error().text();
      std::string t;
      append_epoch_seconds(t, line->received_at);
      ASSERT_EQ(text.compare(5, t.size() + 1, t + ","), 0) << "time changed: " << text.substr(0, 40);
    }
  }
  EXPECT_GT(lines, 2000u);
}

}  // namespace
}  // namespace mp::journal
