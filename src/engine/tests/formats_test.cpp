#include "engine/formats.hpp"

#include <gtest/gtest.h>

using namespace std::string_view_literals;

namespace mp::engine {
namespace {

TEST(HeaderSize, CutsNamesOffLines) {
  EXPECT_EQ(header_size(StreamRule::as_is, "1\n"), 0u);
  EXPECT_EQ(header_size(stream_rule("TabSeparatedWithNames"), "a\tb\n1\t2\n"), 4u);
  EXPECT_EQ(header_size(stream_rule("JSONCompactEachRowWithNamesAndTypes"), "[\"a\"]\n[\"UInt8\"]\n[1]\n"), 16u);
  EXPECT_EQ(header_size(stream_rule("CSVWithNames"), "\"a\nb\",\"c\"\"d\"\n1,2\n"), 13u);
  EXPECT_EQ(header_size(stream_rule("TabSeparatedWithNamesAndTypes"), "a\n"), std::nullopt);
}

TEST(HeaderSize, CutsNamesOffBinaries) {
  EXPECT_EQ(header_size(stream_rule("RowBinaryWithNames"),
                        "\x02\x01"
                        "a\x02"
                        "bc\xFF"sv),
            6u);
  EXPECT_EQ(header_size(stream_rule("RowBinaryWithNamesAndTypes"),
                        "\x01\x01"
                        "a\x05UInt8\x07"sv),
            9u);
  EXPECT_EQ(header_size(stream_rule("RowBinaryWithNames"),
                        "\x02\x01"
                        "a\x7F"sv),
            std::nullopt);
  EXPECT_EQ(header_size(stream_rule("RowBinaryWithNames"), ""sv), std::nullopt);
}

TEST(StreamRule, FormatsWithBracketsOrFootersAreReadWhole) {
  for (const char* format :
       {"JSON", "JSONCompact", "JSONColumns", "Pretty", "Parquet", "Arrow", "ORC", "XML", "Values", "Unheard"}) {
    EXPECT_EQ(stream_rule(format), StreamRule::whole) << format;
  }
}

TEST(ContentType, IsTheServers) {
  EXPECT_EQ(content_type_of("JSONEachRow"), "application/json; charset=UTF-8");
  EXPECT_EQ(content_type_of("TabSeparated"), "text/tab-separated-values; charset=UTF-8");
  EXPECT_EQ(content_type_of("CSVWithNames"), "text/csv; charset=UTF-8; header=present");
  EXPECT_EQ(content_type_of("Native"), "application/octet-stream");
  EXPECT_EQ(content_type_of("PrettyCompact"), "text/plain; charset=UTF-8");
}

}  // namespace
}  // namespace mp::engine
