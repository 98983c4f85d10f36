#include "sinks/clickhouse/schema.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "base/text.hpp"

namespace mp::sinks::clickhouse {
namespace {

enum class TokenKind { word, number, quoted, sign, end_of_statement };

struct Token {
  TokenKind kind{};
  std::string text;  // quoted: with its quotes
  bool blank_before = false;
};

bool is_word_start(char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_'; }
bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// Reads tokens; comments (-- to the end of the line, # at the start of a line, /* */) count as blanks.
class Scanner {
 public:
  explicit Scanner(std::string_view sql) : sql_(sql) {}

  Result<std::vector<Token>> scan() {
    std::vector<Token> tokens;
    for (;;) {
      auto blank = skip_blanks();
      if (!blank) return blank.error();
      if (at_ == sql_.size()) return tokens;
      auto token = next();
      if (!token) return token.error();
      token->blank_before = *blank;
      tokens.push_back(std::move(*token));
    }
  }

 private:
  bool starts(std::string_view text) const { return sql_.substr(at_).starts_with(text); }

  Error unfinished(std::size_t begin, const char* what) const {
    const auto line = 1 + std::count(sql_.begin(), sql_.begin() + static_cast<std::ptrdiff_t>(begin), '\n');
    return {Errc::corrupt, fmt::format("SQL line {}", line), fmt::format("{} does not end", what)};
  }

  Result<bool> skip_blanks() {
    const auto begin = at_;
    while (at_ < sql_.size()) {
      if (std::isspace(static_cast<unsigned char>(sql_[at_]))) {
        ++at_;
      } else if (starts("--") || starts("#!") || starts("# ")) {
        at_ = std::min(sql_.find('\n', at_), sql_.size());
      } else if (starts("/*")) {
        const auto end = sql_.find("*/", at_ + 2);
        if (end == std::string_view::npos) return unfinished(at_, "a comment");
        at_ = end + 2;
      } else {
        break;
      }
    }
    return at_ > begin;
  }

  Result<Token> next() {
    const char c = sql_[at_];
    if (c == ';') return take(1, TokenKind::end_of_statement);
    if (c == '\'' || c == '"' || c == '`') return quoted(c);
    if (is_word_start(c)) return take(length_while(is_word), TokenKind::word);
    if (std::isdigit(static_cast<unsigned char>(c)))
      return take(length_while([](char x) { return is_word(x) || x == '.'; }), TokenKind::number);
    return take(1, TokenKind::sign);
  }

  template <class Predicate>
  std::size_t length_while(Predicate belongs) const {
    auto end = at_;
    while (end < sql_.size() && belongs(sql_[end])) ++end;
    return end - at_;
  }

  Token take(std::size_t length, TokenKind kind) {
    Token token{kind, std::string(sql_.substr(at_, length)), false};
    at_ += length;
    return token;
  }

  // A backslash and a doubled quote keep the text going.
  Result<Token> quoted(char quote) {
    for (auto end = at_ + 1; end < sql_.size(); ++end) {
      if (sql_[end] == '\\') {
        ++end;
      } else if (sql_[end] == quote) {
        if (end + 1 < sql_.size() && sql_[end + 1] == quote) {
          ++end;
        } else {
          return take(end + 1 - at_, TokenKind::quoted);
        }
      }
    }
    return unfinished(at_, "quoted text");
  }

  std::string_view sql_;
  std::size_t at_ = 0;
};

using Tokens = std::vector<Token>;

bool is(const Token& token, std::string_view word) {
  return token.kind == TokenKind::word &&
         std::equal(token.text.begin(), token.text.end(), word.begin(), word.end(),
                    [](char a, char b) { return std::toupper(static_cast<unsigned char>(a)) == b; });
}
bool is_sign(const Token& token, char c) { return token.kind == TokenKind::sign && token.text[0] == c; }

Result<std::vector<Tokens>> statements_of(std::string_view sql) {
  auto tokens = Scanner{sql}.scan();
  if (!tokens) return tokens.error();
  std::vector<Tokens> statements(1);
  for (auto& token : *tokens) {
    if (token.kind != TokenKind::end_of_statement) {
      statements.back().push_back(std::move(token));
    } else if (!statements.back().empty()) {
      statements.emplace_back();
    }
  }
  if (statements.back().empty()) statements.pop_back();
  return statements;
}

std::string join(const Tokens& tokens) {
  std::string out;
  for (const auto& token : tokens) {
    if (token.blank_before && !out.empty()) out += ' ';
    out += token.text;
  }
  return out;
}

std::string join_without_blanks(Tokens::const_iterator from, Tokens::const_iterator to) {
  std::string out;
  for (; from != to; ++from) out += from->text;
  return out;
}

// The first token that satisfies the predicate outside all parentheses.
template <class Predicate>
Tokens::const_iterator find_outside(Tokens::const_iterator from, Tokens::const_iterator to, Predicate wanted) {
  int depth = 0;
  for (; from != to; ++from) {
    if (depth == 0 && wanted(*from)) return from;
    if (is_sign(*from, '(') || is_sign(*from, '[')) ++depth;
    if (is_sign(*from, ')') || is_sign(*from, ']')) --depth;
  }
  return to;
}

bool is_plain_identifier(std::string_view name) {
  return !name.empty() && is_word_start(name.front()) && std::all_of(name.begin(), name.end(), is_word);
}

// TTL ends where SETTINGS or the statement does.
void fit_ttl(Tokens& statement, const std::optional<int>& ttl_days) {
  const auto begin = find_outside(statement.begin(), statement.end(), [](const Token& t) { return is(t, "TTL"); });
  if (begin == statement.end()) return;
  const auto end = find_outside(begin, statement.end(), [](const Token& t) { return is(t, "SETTINGS"); });
  if (!ttl_days) {
    statement.erase(begin, end);
    return;
  }
  const auto number = std::find_if(begin, end, [](const Token& t) { return t.kind == TokenKind::number; });
  if (number != end) statement[static_cast<std::size_t>(number - statement.begin())].text = std::to_string(*ttl_days);
}

bool mentions(const Tokens& statement, std::string_view word) {
  return std::any_of(statement.begin(), statement.end(),
                     [&](const Token& t) { return t.kind == TokenKind::word && t.text == word; });
}

void replace_word(Tokens& statement, std::string_view word, const std::string& by) {
  for (auto& token : statement) {
    if (token.kind == TokenKind::word && token.text == word) token.text = by;
  }
}

// name type [DEFAULT|ALIAS|MATERIALIZED expression] [CODEC(…)] [COMMENT …]
SchemaColumn column_of(Tokens::const_iterator from, Tokens::const_iterator to) {
  static constexpr std::array<std::string_view, 6> kAfterType{"DEFAULT", "ALIAS",   "MATERIALIZED",
                                                              "CODEC",   "COMMENT", "TTL"};
  const auto type_end = find_outside(from + 1, to, [](const Token& t) {
    return std::any_of(kAfterType.begin(), kAfterType.end(), [&](std::string_view word) { return is(t, word); });
  });
  SchemaColumn column{from->text, join_without_blanks(from + 1, type_end), ""};
  if (type_end != to && (is(*type_end, "DEFAULT") || is(*type_end, "ALIAS") || is(*type_end, "MATERIALIZED")))
    column.kind = type_end->text;
  column.definition = join(Tokens(from, to));
  return column;
}

// The parenthesis that closes the one at `open`.
Tokens::const_iterator closing(Tokens::const_iterator open, Tokens::const_iterator end) {
  int depth = 0;
  for (auto at = open; at != end; ++at) {
    if (is_sign(*at, '(')) ++depth;
    if (is_sign(*at, ')') && --depth == 0) return at;
  }
  return end;
}

std::vector<SchemaColumn> columns_between(Tokens::const_iterator from, Tokens::const_iterator to) {
  std::vector<SchemaColumn> columns;
  while (from < to) {
    const auto comma = find_outside(from, to, [](const Token& t) { return is_sign(t, ','); });
    if (!is(*from, "INDEX") && !is(*from, "CONSTRAINT") && !is(*from, "PROJECTION"))
      columns.push_back(column_of(from, comma));
    from = comma == to ? to : comma + 1;
  }
  return columns;
}

// What follows the clause's keywords, up to the next clause.
std::string clause(const Tokens& statement, Tokens::const_iterator from, std::string_view first,
                   std::string_view second) {
  static constexpr std::array<std::string_view, 7> kClauses{"PARTITION", "ORDER",    "PRIMARY", "SAMPLE",
                                                            "TTL",       "SETTINGS", "COMMENT"};
  const auto at = find_outside(from, statement.end(), [&](const Token& t) { return is(t, first); });
  if (at == statement.end()) return "";
  auto begin = at + 1;
  if (begin != statement.end() && (second.empty() ? is_sign(*begin, '=') : is(*begin, second))) ++begin;
  const auto end = find_outside(begin, statement.end(), [](const Token& t) {
    return std::any_of(kClauses.begin(), kClauses.end(), [&](std::string_view word) { return is(t, word); });
  });
  return join_without_blanks(begin, end);
}

const SchemaTable* find_table(const std::vector<SchemaTable>& tables, const std::string& database,
                              const std::string& name) {
  const auto found = std::find_if(tables.begin(), tables.end(),
                                  [&](const SchemaTable& t) { return t.database == database && t.name == name; });
  return found == tables.end() ? nullptr : &*found;
}

// CREATE TABLE [IF NOT EXISTS] database.name (columns) … or CREATE TABLE … AS database.name …
Result<SchemaTable> table_of_statement(const Tokens& statement, const std::vector<SchemaTable>& earlier) {
  const auto dot = std::find_if(statement.begin(), statement.end(), [](const Token& t) { return is_sign(t, '.'); });
  const auto shown = shortened(join(statement), 80);
  if (dot == statement.end() || dot + 1 == statement.end())
    return Error{Errc::bad_value, "CREATE TABLE without database: " + shown, ""};
  SchemaTable table;
  table.database = std::prev(dot)->text;
  table.name = std::next(dot)->text;
  auto after = dot + 2;
  if (after != statement.end() && is(*after, "AS") && statement.end() - after > 3) {
    const auto* other = find_table(earlier, (after + 1)->text, (after + 3)->text);
    if (other == nullptr) return Error{Errc::bad_value, "AS names a table that is not created before: " + shown, ""};
    table.columns = other->columns;
  } else if (after != statement.end() && is_sign(*after, '(')) {
    const auto close = closing(after, statement.end());
    if (close == statement.end())
      return Error{Errc::bad_value, "CREATE TABLE with columns that do not end: " + shown, ""};
    table.columns = columns_between(after + 1, close);
    after = close + 1;
  } else {
    return Error{Errc::bad_value, "CREATE TABLE without columns: " + shown, ""};
  }
  const auto engine = clause(statement, after, "ENGINE", "");
  table.engine = engine.substr(0, engine.find('('));
  table.partition_key = normal_key(clause(statement, after, "PARTITION", "BY"));
  table.sorting_key = normal_key(clause(statement, after, "ORDER", "BY"));
  return table;
}

std::string plain_engine(std::string_view engine) {
  for (const std::string_view prefix : {"Replicated", "Shared"}) {
    if (engine.starts_with(prefix)) engine.remove_prefix(prefix.size());
  }
  return std::string(engine);
}

void compare_columns(const SchemaTable& wanted, const SchemaTable& have, std::vector<std::string>& out) {
  const auto where = have.database + "." + have.name;
  for (const auto& column : wanted.columns) {
    const auto found = std::find_if(have.columns.begin(), have.columns.end(),
                                    [&](const SchemaColumn& c) { return c.name == column.name; });
    if (found == have.columns.end()) {
      out.push_back(fmt::format("{}: column {} {} is missing", where, column.name, column.type));
    } else if (found->type != column.type) {
      out.push_back(fmt::format("{}: column {} is {}, must be {}", where, column.name, found->type, column.type));
    }
  }
}

void compare_property(const SchemaTable& have, const char* what, const std::string& is_now, const std::string& must_be,
                      std::vector<std::string>& out) {
  if (is_now == must_be) return;
  out.push_back(fmt::format("{}.{}: {} is {}, must be {}", have.database, have.name, what,
                            is_now.empty() ? "(none)" : is_now, must_be.empty() ? "(none)" : must_be));
}

}  // namespace

std::string without_blanks(std::string_view text) {
  std::string out;
  std::copy_if(text.begin(), text.end(), std::back_inserter(out),
               [](char c) { return !std::isspace(static_cast<unsigned char>(c)); });
  return out;
}

std::string normal_key(std::string_view key) {
  auto out = without_blanks(key);
  if (out == "tuple()") return "";
  if (out.size() > 1 && out.front() == '(' && out.back() == ')') return out.substr(1, out.size() - 2);
  return out;
}

Result<std::vector<std::string>> split_statements(std::string_view sql) {
  auto statements = statements_of(sql);
  if (!statements) return statements.error();
  std::vector<std::string> out;
  for (const auto& statement : *statements) out.push_back(join(statement));
  return out;
}

Result<std::vector<std::string>> schema_statements(std::string_view sql, const SchemaOptions& options) {
  for (const auto* name : {&options.database, &options.cold_database}) {
    const bool absent = name == &options.cold_database && name->empty();
    if (!absent && !is_plain_identifier(*name))
      return Error{Errc::usage, "database name", fmt::format("'{}' (letters, digits and _ only)", *name)};
  }
  auto statements = statements_of(sql);
  if (!statements) return statements.error();
  std::vector<std::string> out;
  for (auto& statement : *statements) {
    if (options.cold_database.empty() && mentions(statement, kSchemaCold)) continue;
    fit_ttl(statement, options.ttl_days);
    replace_word(statement, kSchemaHot, options.database);
    replace_word(statement, kSchemaCold, options.cold_database);
    out.push_back(join(statement));
  }
  return out;
}

Result<std::vector<SchemaTable>> schema_tables(const std::vector<std::string>& statements) {
  std::vector<SchemaTable> tables;
  for (const auto& text : statements) {
    auto tokens = statements_of(text);
    if (!tokens) return tokens.error();
    if (tokens->empty()) continue;
    const auto& statement = tokens->front();
    if (statement.size() < 3 || !is(statement[0], "CREATE") || !is(statement[1], "TABLE")) continue;
    auto table = table_of_statement(statement, tables);
    if (!table) return table.error();
    tables.push_back(std::move(*table));
  }
  return tables;
}

Result<std::vector<SchemaView>> schema_views(const std::vector<std::string>& statements) {
  std::vector<SchemaView> views;
  for (const auto& text : statements) {
    auto tokens = statements_of(text);
    if (!tokens) return tokens.error();
    if (tokens->empty()) continue;
    const auto& statement = tokens->front();
    const auto as = find_outside(statement.begin(), statement.end(), [](const Token& t) { return is(t, "AS"); });
    const auto view = std::find_if(statement.begin(), as, [](const Token& t) { return is(t, "VIEW"); });
    if (!is(statement.front(), "CREATE") || view == as || as == statement.end()) continue;
    const auto dot = std::find_if(view, as, [](const Token& t) { return is_sign(t, '.'); });
    if (dot == as || dot + 1 == as)
      return Error{Errc::bad_value, "CREATE VIEW without database: " + shortened(text, 80), ""};
    views.push_back({std::prev(dot)->text, std::next(dot)->text, join(Tokens(as + 1, statement.end())), text});
  }
  return views;
}

std::vector<std::string> schema_mends(const std::vector<SchemaTable>& wanted, const std::vector<SchemaTable>& have) {
  std::vector<std::string> out;
  for (const auto& table : wanted) {
    const auto* found = find_table(have, table.database, table.name);
    if (found == nullptr) continue;
    for (const auto& column : table.columns) {
      const auto same = std::find_if(found->columns.begin(), found->columns.end(),
                                     [&](const SchemaColumn& c) { return c.name == column.name; });
      if (same != found->columns.end() && same->type == column.type) continue;
      out.push_back(fmt::format("ALTER TABLE {}.{} {} COLUMN {}", table.database, table.name,
                                same == found->columns.end() ? "ADD" : "MODIFY", column.definition));
    }
  }
  return out;
}

std::vector<std::string> schema_differences(const std::vector<SchemaTable>& wanted,
                                            const std::vector<SchemaTable>& have) {
  std::vector<std::string> out;
  for (const auto& table : wanted) {
    const auto* found = find_table(have, table.database, table.name);
    if (found == nullptr) {
      out.push_back(fmt::format("{}.{}: the table is missing", table.database, table.name));
      continue;
    }
    compare_property(*found, "the engine", plain_engine(found->engine), table.engine, out);
    compare_property(*found, "PARTITION BY", found->partition_key, table.partition_key, out);
    compare_property(*found, "ORDER BY", found->sorting_key, table.sorting_key, out);
    compare_columns(table, *found, out);
  }
  return out;
}

}  // namespace mp::sinks::clickhouse
