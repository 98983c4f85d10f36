#include "engine/statement.hpp"

#include <algorithm>
#include <cctype>
#include <optional>
#include <vector>

namespace mp::engine {
namespace {

struct Token {
  enum class Kind { word, symbol, quoted } kind{};
  std::size_t begin = 0;
  std::size_t end = 0;
  std::string upper;  // of words and symbols
  int depth = 0;      // open brackets before it
};

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'; }
bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  std::optional<Token> next() {
    skip_blanks();
    if (at_ >= text_.size()) return std::nullopt;
    Token token;
    token.begin = at_;
    token.depth = depth_;
    const char c = text_[at_];
    if (c == '\'' || c == '"' || c == '`') {
      token.kind = Token::Kind::quoted;
      skip_quoted(c);
    } else if (c == '$' && skip_heredoc()) {
      token.kind = Token::Kind::quoted;
    } else if (is_word(c)) {
      token.kind = Token::Kind::word;
      while (at_ < text_.size() && is_word(text_[at_])) ++at_;
    } else {
      token.kind = Token::Kind::symbol;
      if (c == '(' || c == '[' || c == '{') ++depth_;
      if (c == ')' || c == ']' || c == '}') token.depth = --depth_;
      ++at_;
    }
    token.end = at_;
    if (token.kind != Token::Kind::quoted) {
      token.upper = text_.substr(token.begin, token.end - token.begin);
      std::transform(token.upper.begin(), token.upper.end(), token.upper.begin(),
                     [](unsigned char u) { return static_cast<char>(std::toupper(u)); });
    }
    return token;
  }

 private:
  bool starts(std::string_view what) const { return text_.substr(at_, what.size()) == what; }

  void skip_blanks() {
    for (;;) {
      while (at_ < text_.size() && is_space(text_[at_])) ++at_;
      if (starts("--") || starts("# ") || starts("#!")) {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (starts("/*")) {
        skip_block_comment();
      } else {
        return;
      }
    }
  }

  void skip_block_comment() {
    int open = 0;
    while (at_ < text_.size()) {
      if (starts("/*")) {
        ++open;
        at_ += 2;
      } else if (starts("*/")) {
        at_ += 2;
        if (--open == 0) return;
      } else {
        ++at_;
      }
    }
  }

  void skip_quoted(char quote) {
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\\') {
        ++at_;
      } else if (text_[at_] == quote) {
        // A doubled quote is one quote inside the text.
        if (at_ + 1 >= text_.size() || text_[at_ + 1] != quote) break;
        ++at_;
      }
    }
    at_ = std::min(at_ + 1, text_.size());
  }

  // $tag$ … $tag$; false when this dollar begins none.
  bool skip_heredoc() {
    std::size_t end = at_ + 1;
    while (end < text_.size() && is_word(text_[end])) ++end;
    if (end >= text_.size() || text_[end] != '$') return false;
    const auto tag = text_.substr(at_, end + 1 - at_);
    const auto close = text_.find(tag, end + 1);
    at_ = close == std::string_view::npos ? text_.size() : close + tag.size();
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

// ClickHouse's rule for where the data of "FORMAT x" begins: after the blanks of this line and one
// line break.
std::size_t data_begin(std::string_view text, std::size_t at) {
  while (at < text.size() && (text[at] == ' ' || text[at] == '\t' || text[at] == '\f')) ++at;
  if (at < text.size() && text[at] == ';') ++at;
  if (at < text.size() && text[at] == '\r') ++at;
  if (at < text.size() && text[at] == '\n') ++at;
  return at;
}

bool names_a_table(const Token& previous) {
  return previous.upper == "INTO" || previous.upper == "TABLE" || previous.upper == "FUNCTION" || previous.upper == ".";
}

void note_input(Scanner& scanner, StatementShape& shape) {
  std::string previous;
  while (const auto token = scanner.next()) {
    if (token->upper == "(" && previous == "INPUT") shape.reads_input = true;
    previous = token->upper;
  }
}

// Reads on after the word INSERT.
void shape_insert(std::string_view text, Scanner& scanner, StatementShape& shape) {
  Token previous;
  while (auto token = scanner.next()) {
    const bool keyword = token->kind == Token::Kind::word && token->depth == 0 && !names_a_table(previous);
    const bool sub_select = token->depth == 1 && previous.upper == "(";
    if (token->upper == "INFILE" && previous.upper == "FROM") shape.names_a_file = true;
    // INSERT … SELECT has no data of its own.
    if ((keyword || sub_select) && (token->upper == "SELECT" || token->upper == "WITH"))
      return note_input(scanner, shape);
    if (keyword && token->upper == "VALUES") {
      shape.has_insert_data = true;
      shape.head_size = token->begin;
      shape.insert_format = "Values";
      shape.data_offset = token->end;
      return;
    }
    if (keyword && token->upper == "FORMAT") {
      const auto name = scanner.next();
      // The name may go on in what is not here yet: wait for the byte after it, unless this is all.
      if (!name || name->kind != Token::Kind::word) return;
      shape.has_insert_data = true;
      shape.head_size = token->begin;
      shape.insert_format = text.substr(name->begin, name->end - name->begin);
      shape.data_offset = data_begin(text, name->end);
      return;
    }
    previous = std::move(*token);
  }
}

// "FORMAT name" counts when it ends the statement, or only SETTINGS or INTO OUTFILE follow:
// `format` may be a column too.
void shape_others(std::string_view text, Scanner& scanner, StatementShape& shape) {
  Token previous;
  std::string candidate;
  bool just_seen = false;
  while (auto token = scanner.next()) {
    if (token->upper == "OUTFILE" && previous.upper == "INTO") shape.names_a_file = true;
    if (just_seen) {
      just_seen = false;
      if (token->upper != ";" && token->upper != "SETTINGS" && token->upper != "INTO") candidate.clear();
    }
    if (token->kind == Token::Kind::word && token->depth == 0 && previous.upper == "FORMAT" && previous.depth == 0) {
      candidate = text.substr(token->begin, token->end - token->begin);
      just_seen = true;
    }
    previous = std::move(*token);
  }
  shape.output_format = std::move(candidate);
}

std::string with_escapes(std::string_view text, char quote) {
  std::string out(1, quote);
  for (const char c : text) {
    if (c == quote || c == '\\') out += '\\';
    out += c;
  }
  return out + quote;
}

}  // namespace

StatementShape shape_of(std::string_view text) {
  StatementShape shape;
  Scanner scanner(text);
  const auto first = scanner.next();
  if (!first) return shape;
  shape.first_word = first->upper;
  if (first->upper == "INSERT") {
    shape_insert(text, scanner, shape);
  } else {
    shape_others(text, scanner, shape);
  }
  return shape;
}

std::string sql_string(std::string_view text) { return with_escapes(text, '\''); }
std::string quoted_identifier(std::string_view name) { return with_escapes(name, '`'); }

}  // namespace mp::engine
