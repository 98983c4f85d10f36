#pragma once
// What a statement's text tells before the engine sees it. Pure: knows ClickHouse's words, strings
// and comments, not its grammar.

#include <cstddef>
#include <string>
#include <string_view>

namespace mp::engine {

struct StatementShape {
  std::string first_word;  // in capitals: "SELECT", "INSERT", …; "(" for a bracket; "" for none

  // INSERT … FORMAT x <data> and INSERT … VALUES <data>:
  bool has_insert_data = false;
  std::size_t head_size = 0;    // the INSERT without its FORMAT or VALUES
  std::string insert_format;    // "JSONEachRow"; "Values" for VALUES
  std::size_t data_offset = 0;  // where the data begins

  // Anything else: the FORMAT at the end, "" when there is none.
  std::string output_format;

  // INTO OUTFILE and FROM INFILE would touch this machine's files: a client-side thing that a
  // server refuses.
  bool names_a_file = false;

  // INSERT … SELECT … FROM input(…): the library drops the data behind it and reports success.
  bool reads_input = false;

  bool may_return_rows_in_pieces() const { return first_word == "SELECT" || first_word == "WITH" || first_word == "("; }
};

// `text` may be the beginning only: an INSERT with data is recognised as soon as its FORMAT (with
// the blank after it) or VALUES is there.
StatementShape shape_of(std::string_view text);

// 'it\'s' with quotes, for values inside statements; `name` in back-quotes.
std::string sql_string(std::string_view text);
std::string quoted_identifier(std::string_view name);

}  // namespace mp::engine
