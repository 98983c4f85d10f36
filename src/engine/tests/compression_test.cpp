#include "engine/compression.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include <string>

namespace mp::engine {
namespace {

std::string sample(std::size_t size) {
  std::string out;
  for (unsigned i = 0; out.size() < size; ++i) out += std::to_string(i * 2654435761u) + ",";
  out.resize(size);
  return out;
}

std::string compressed(Coding coding, const std::string& text, std::size_t piece) {
  const auto compressor = make_compressor(coding);
  std::string out;
  for (std::size_t at = 0; at < text.size(); at += piece)
    compressor->add(std::string_view(text).substr(at, piece), out);
  compressor->finish(out);
  return out;
}

struct Decoded {
  std::string text;
  bool failed = false;
  bool at_end = false;
};
Decoded decompressed(Coding coding, std::string_view bytes, std::size_t piece) {
  const auto decompressor = make_decompressor(coding);
  Decoded out;
  for (std::size_t at = 0; at < bytes.size() && !out.failed; at += piece) {
    out.failed = !decompressor->feed(bytes.substr(at, piece), [&](std::string_view p) {
      out.text += p;
      return true;
    });
  }
  out.at_end = decompressor->at_end();
  return out;
}

class EveryCoding : public testing::TestWithParam<Coding> {};
INSTANTIATE_TEST_SUITE_P(Codings, EveryCoding,
                         testing::Values(Coding::gzip, Coding::deflate, Coding::zstd, Coding::lz4),
                         [](const auto& coding) { return std::string(to_string(coding.param)); });

TEST_P(EveryCoding, GivesBackWhatWasPutInWhateverThePieces) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{1000}, std::size_t{3'000'000}}) {
    const auto text = sample(size);
    const auto bytes = compressed(GetParam(), text, 70'001);
    for (const std::size_t piece : {std::size_t{997}, std::size_t{300'000}}) {
      const auto back = decompressed(GetParam(), bytes, piece);
      EXPECT_FALSE(back.failed);
      EXPECT_TRUE(back.at_end);
      EXPECT_EQ(back.text, text);
    }
  }
}

TEST_P(EveryCoding, ATornInputIsNotAtItsEnd) {
  const auto bytes = compressed(GetParam(), sample(10'000), 10'000);
  for (const std::size_t n : {std::size_t{1}, bytes.size() / 2, bytes.size() - 1}) {
    const auto back = decompressed(GetParam(), std::string_view(bytes).substr(0, n), 100);
    EXPECT_TRUE(back.failed || !back.at_end) << n;
  }
}

TEST_P(EveryCoding, NoiseIsRefused) {
  const auto back =
      decompressed(GetParam(), "\x01\x02\x03 certainly not compressed, and long enough to notice ......", 1000);
  EXPECT_TRUE(back.failed || !back.at_end);
}

TEST_P(EveryCoding, StopsWhenTheSinkHasEnough) {
  const auto bytes = compressed(GetParam(), std::string(50'000'000, 'x'), 1'000'000);
  const auto decompressor = make_decompressor(GetParam());
  std::size_t seen = 0;
  ASSERT_TRUE(decompressor->feed(bytes, [&](std::string_view piece) {
    seen += piece.size();
    return false;
  }));
  EXPECT_GT(seen, 0u);
  EXPECT_LE(seen, 1u << 20);
}

TEST(Compression, TwoGzipMembersAreOneText) {
  const auto bytes = compressed(Coding::gzip, "one ", 4) + compressed(Coding::gzip, "two", 3);
  EXPECT_EQ(decompressed(Coding::gzip, bytes, 5).text, "one two");
}

TEST(Compression, BareDeflateIsUnderstood) {
  const std::string text = sample(5000);
  std::string bytes(10'000, '\0');
  z_stream stream{};
  ASSERT_EQ(Z_OK, deflateInit2(&stream, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY));
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(bytes.data());
  stream.avail_out = static_cast<uInt>(bytes.size());
  ASSERT_EQ(Z_STREAM_END, deflate(&stream, Z_FINISH));
  bytes.resize(stream.total_out);
  deflateEnd(&stream);
  EXPECT_EQ(decompressed(Coding::deflate, bytes, 10'000).text, text);
}

TEST(ChooseCoding, TakesTheFirstOfOursThatTheClientAccepts) {
  EXPECT_EQ(choose_coding("gzip, deflate, br"), Coding::gzip);
  EXPECT_EQ(choose_coding("br, zstd;q=0.5, gzip"), Coding::zstd);
  EXPECT_EQ(choose_coding("lz4,zstd"), Coding::lz4);
  EXPECT_EQ(choose_coding("gzip;q=0, deflate;q=0.1"), Coding::deflate);
  EXPECT_EQ(choose_coding("br"), Coding::identity);
  EXPECT_EQ(choose_coding(""), Coding::identity);
}

}  // namespace
}  // namespace mp::engine
