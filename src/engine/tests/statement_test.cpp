#include "engine/statement.hpp"

#include <gtest/gtest.h>

namespace mp::engine {
namespace {

struct InsertCase {
  std::string text;
  std::string head;
  std::string format;
  std::string data;
};

class InsertShape : public testing::TestWithParam<InsertCase> {};

TEST_P(InsertShape, SplitsTheStatementFromItsData) {
  const auto& c = GetParam();
  const auto shape = shape_of(c.text);
  EXPECT_EQ(shape.first_word, "INSERT");
  ASSERT_TRUE(shape.has_insert_data) << c.text;
  EXPECT_EQ(c.text.substr(0, shape.head_size), c.head);
  EXPECT_EQ(shape.insert_format, c.format);
  EXPECT_EQ(c.text.substr(shape.data_offset), c.data);
}

INSTANTIATE_TEST_SUITE_P(
    Statements, InsertShape,
    testing::Values(
        InsertCase{"INSERT INTO t FORMAT CSV\n1,2\n", "INSERT INTO t ", "CSV", "1,2\n"},
        InsertCase{"INSERT INTO t FORMAT JSONEachRow {\"a\":1}", "INSERT INTO t ", "JSONEachRow", "{\"a\":1}"},
        // Only one line break belongs to the statement: binary data may begin with another.
        InsertCase{"INSERT INTO t FORMAT RowBinary\n\n\x01", "INSERT INTO t ", "RowBinary", "\n\x01"},
        InsertCase{"INSERT INTO t FORMAT TSV\r\n1\n", "INSERT INTO t ", "TSV", "1\n"},
        InsertCase{"INSERT INTO t FORMAT CSV", "INSERT INTO t ", "CSV", ""},
        InsertCase{"insert into db.t (a, b) values (1,'x')", "insert into db.t (a, b) ", "Values", " (1,'x')"},
        InsertCase{"/* VALUES */ INSERT INTO `values` -- FORMAT x\n VALUES(1)",
                   "/* VALUES */ INSERT INTO `values` -- FORMAT x\n ", "Values", "(1)"},
        InsertCase{"INSERT INTO format FORMAT TSV\nx", "INSERT INTO format ", "TSV", "x"},
        InsertCase{"INSERT INTO db.values (format, values) FORMAT TSV\nx", "INSERT INTO db.values (format, values) ",
                   "TSV", "x"},
        InsertCase{"INSERT INTO t SETTINGS async_insert = 0, s = 'FORMAT X' FORMAT Native\nN",
                   "INSERT INTO t SETTINGS async_insert = 0, s = 'FORMAT X' ", "Native", "N"},
        InsertCase{"INSERT INTO FUNCTION file('VALUES', $q$ FORMAT x $q$) VALUES (1)",
                   "INSERT INTO FUNCTION file('VALUES', $q$ FORMAT x $q$) ", "Values", " (1)"}));

TEST(Shape, AnInsertFromASelectHasNoDataOfItsOwn) {
  for (const char* text :
       {"INSERT INTO t SELECT 1", "INSERT INTO t (a) SELECT * FROM VALUES('a UInt8', 1)",
        "INSERT INTO t WITH x AS (SELECT 1) SELECT * FROM x FORMAT Null", "INSERT INTO t (SELECT 1)"}) {
    EXPECT_FALSE(shape_of(text).has_insert_data) << text;
  }
}

TEST(Shape, AnInsertWithoutItsFormatIsNotWholeYet) {
  for (const char* text :
       {"INSERT", "INSERT INTO t", "INSERT INTO t (a, b)", "INSERT INTO t FORMAT", "INSERT INTO t 'VALUES"}) {
    EXPECT_FALSE(shape_of(text).has_insert_data) << text;
  }
}

TEST(Shape, TheOutputFormatIsTheOneAtTheEnd) {
  EXPECT_EQ(shape_of("SELECT 1 FORMAT JSON").output_format, "JSON");
  EXPECT_EQ(shape_of("SELECT 1 format TSV ;").output_format, "TSV");
  EXPECT_EQ(shape_of("SELECT 1 FORMAT Native SETTINGS max_threads = 1").output_format, "Native");
  EXPECT_EQ(shape_of("SELECT format FROM t").output_format, "");
  EXPECT_EQ(shape_of("SELECT x AS format, y FROM t").output_format, "");
  EXPECT_EQ(shape_of("SELECT 'FORMAT JSON'").output_format, "");
  EXPECT_EQ(shape_of("SELECT 1 -- FORMAT JSON").output_format, "");
  EXPECT_EQ(shape_of("SELECT * FROM (SELECT 1 FORMAT TSV)").output_format, "");
}

TEST(Shape, KnowsWhatMayComeInPieces) {
  EXPECT_TRUE(shape_of(" select 1").may_return_rows_in_pieces());
  EXPECT_TRUE(shape_of("-- why\nWITH 1 AS x SELECT x").may_return_rows_in_pieces());
  EXPECT_TRUE(shape_of("(SELECT 1) UNION ALL (SELECT 2)").may_return_rows_in_pieces());
  EXPECT_FALSE(shape_of("SHOW TABLES").may_return_rows_in_pieces());
  EXPECT_EQ(shape_of("  -- nothing\n /* at /* all */ */ ").first_word, "");
}

TEST(Shape, SeesFilesThatAServerMustNotTouch) {
  EXPECT_TRUE(shape_of("SELECT 1 INTO OUTFILE '/tmp/x'").names_a_file);
  EXPECT_TRUE(shape_of("INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV").names_a_file);
  EXPECT_FALSE(shape_of("SELECT 'INTO OUTFILE'").names_a_file);
}

TEST(Shape, SeesTheInputFunctionOfAnInsert) {
  EXPECT_TRUE(shape_of("INSERT INTO t SELECT * FROM input('a UInt8') FORMAT CSV\n1\n").reads_input);
  EXPECT_FALSE(shape_of("INSERT INTO input SELECT input FROM t").reads_input);
}

TEST(Shape, SurvivesEveryPrefix) {
  const std::string text = "INSERT INTO `a\\`b` (x, \"y\") /* c /* d */ */ SETTINGS s='it''s', h=$t$x$t$ FORMAT CSV\n1";
  for (std::size_t n = 0; n <= text.size(); ++n) {
    const auto shape = shape_of(text.substr(0, n));
    EXPECT_LE(shape.data_offset, n);
  }
}

TEST(Quoting, EscapesWhatWouldEndTheText) {
  EXPECT_EQ(sql_string("it's \\"), "'it\\'s \\\\'");
  EXPECT_EQ(quoted_identifier("a`b"), "`a\\`b`");
}

}  // namespace
}  // namespace mp::engine
