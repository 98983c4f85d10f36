#include "engine/executor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "engine/formats.hpp"

namespace mp::engine {
namespace {

// ClickHouse's max_query_size: an INSERT's head must be found within this much.
constexpr std::size_t kInsertHead = 256 * 1024;
// Of a statement without data (a long IN list needs max_query_size raised as well). More is
// refused.
constexpr std::size_t kMaxStatement = 64u << 20;
constexpr std::size_t kReadPiece = 256 * 1024;

bool is_setting_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(),
                                      [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '.'; });
}

EngineResult<std::string> set_statement(const NameValues& settings) {
  std::string sql = "SET ";
  for (const auto& [name, value] : settings) {
    if (!is_setting_name(name))
      return make_error(Code::unknown_setting, fmt::format("Unknown setting {}", sql_string(name)));
    if (sql.size() > 4) sql += ", ";
    sql += name + " = " + sql_string(value);
  }
  return sql;
}

EngineResult<void> run_command(Connection& connection, std::string_view sql) {
  auto result = connection.query(sql, "Null");
  if (!result) return result.error();
  return {};
}

EngineError readonly_error(const std::string& user) {
  return make_error(Code::readonly, fmt::format("{}: Cannot execute query in readonly mode", user));
}

std::string random_tag() {
  std::random_device source;
  std::string tag(16, 'a');
  for (char& c : tag) c = static_cast<char>('a' + source() % 26);
  return tag;
}

// ---- what a session's statement lays over it -------------------------------------------------------------------

EngineResult<void> take_off(Session& session) {
  Overlay old = std::exchange(session.overlay, {});
  if (!old.undo_settings.empty()) {
    auto sql = set_statement(old.undo_settings);
    if (!sql) return sql.error();
    if (auto done = run_command(session.connection, *sql); !done) return done;
  }
  for (const auto& name : old.undo_to_default) {
    if (auto done = run_command(session.connection, "SET " + name + " = DEFAULT"); !done) return done;
  }
  if (!old.undo_database.empty()) return run_command(session.connection, "USE " + quoted_identifier(old.undo_database));
  return {};
}

EngineResult<void> note_old_settings(Session& session) {
  std::string names;
  for (const auto& [name, value] : session.overlay.settings) names += (names.empty() ? "" : ", ") + sql_string(name);
  auto rows = session.connection.query("SELECT name, changed, value FROM system.settings WHERE name IN (" + names + ")",
                                       "TabSeparatedRaw");
  if (!rows) return rows.error();
  std::string_view left = rows->bytes();
  while (!left.empty()) {
    const auto line = left.substr(0, left.find('\n'));
    left.remove_prefix(std::min(line.size() + 1, left.size()));
    const auto first = line.find('\t');
    if (first == std::string_view::npos || first + 3 > line.size()) continue;
    const std::string name(line.substr(0, first));
    if (line[first + 1] == '0') {
      session.overlay.undo_to_default.push_back(name);
    } else {
      session.overlay.undo_settings.emplace_back(name, std::string(line.substr(first + 3)));
    }
  }
  return {};
}

EngineResult<void> lay_over(Session& session, NameValues settings, const std::string& database) {
  session.overlay.settings = std::move(settings);
  session.overlay.database = database;
  if (!session.overlay.settings.empty()) {
    auto sql = set_statement(session.overlay.settings);
    if (!sql) return sql.error();
    if (auto noted = note_old_settings(session); !noted) return noted;
    if (auto done = run_command(session.connection, *sql); !done) return done;
  }
  if (database.empty()) return {};
  auto old = session.connection.scalar("SELECT currentDatabase()");
  if (!old) return old.error();
  session.overlay.undo_database = *old;
  return run_command(session.connection, "USE " + quoted_identifier(database));
}

bool asks_for_readonly(const QueryRequest& request) {
  return request.readonly || std::any_of(request.settings.begin(), request.settings.end(), [](const auto& setting) {
           return setting.first == "readonly" && setting.second != "0";
         });
}

}  // namespace

EngineResult<void> prepare_own_connection(Connection& connection, const QueryRequest& request) {
  if (!request.database.empty()) {
    if (auto done = run_command(connection, "USE " + quoted_identifier(request.database)); !done) return done;
  }
  NameValues settings = request.settings;
  const bool says_readonly = std::any_of(settings.begin(), settings.end(),
                                         [](const auto& s) { return s.first == "readonly" && s.second != "0"; });
  // As the real server: a GET may read and change settings, no more.
  if (request.readonly && !says_readonly) settings.emplace_back("readonly", "2");
  if (settings.empty()) return {};
  auto sql = set_statement(settings);
  if (!sql) return sql.error();
  return run_command(connection, *sql);
}

EngineResult<void> prepare_session(Session& session, const QueryRequest& request, const StatementShape& shape) {
  // `readonly` cannot be taken off again, so in a session it is looked after by the front
  // (Executor::check_statement).
  NameValues settings = request.settings;
  std::erase_if(settings, [](const auto& setting) { return setting.first == "readonly"; });
  // SET and USE change the session itself: they must not see, or be undone with, what another
  // statement laid over.
  const bool changes_session = shape.first_word == "SET" || shape.first_word == "USE";
  if (!changes_session && session.overlay.settings == settings && session.overlay.database == request.database)
    return {};
  if (auto done = take_off(session); !done) return done;
  if (changes_session) return {};
  auto laid = lay_over(session, std::move(settings), request.database);
  if (!laid) (void)take_off(session);
  return laid;
}

Executor::Executor(Context context, Connection& connection, SessionLease* lease)
    : context_(context), connection_(connection), lease_(lease), exception_tag_(random_tag()) {}

EngineResult<void> Executor::run() {
  if (auto read = read_statement(); !read) return read;
  return insert_ ? finish_insert() : run_statement();
}

// ---- reading ---------------------------------------------------------------------------------------------------

// The statement is the URL's query, a line break and the body, as the real server has it. From the
// moment that an INSERT's head is whole, what follows goes to the engine as it comes.
EngineResult<void> Executor::read_statement() {
  const auto& request = context_.request;
  if (!request.query.empty()) {
    text_ = request.query + "\n";
    shape_ = shape_of(text_);
    if (shape_.has_insert_data) {
      if (auto begun = begin_insert(); !begun) return begun;
    }
  }
  const auto decompressor = make_decompressor(request.body_coding);
  std::string raw(kReadPiece, '\0');
  std::optional<EngineError> failure;
  bool any = false;
  for (bool more = true; more;) {
    auto n = context_.http.body->read(raw.data(), raw.size());
    // The insert's destructor cancels it: nothing of a torn body is committed.
    if (!n) return make_error(Code::network_error, n.error().text());
    if (*n == 0) break;
    any = true;
    auto fed = decompressor->feed({raw.data(), *n}, [&](std::string_view piece) {
      auto taken = take_piece(piece);
      if (!taken) failure = taken.error();
      return more = taken && !insert_refused_;
    });
    if (!fed) return fed.error();
    if (failure) return *failure;
  }
  if (any && !insert_refused_ && !decompressor->at_end()) {
    return make_error(Code::cannot_read_all_data,
                      fmt::format("The {} request body ends too early", to_string(request.body_coding)));
  }
  if (insert_) return {};
  shape_ = shape_of(text_);
  return shape_.has_insert_data ? begin_insert() : EngineResult<void>{};
}

EngineResult<void> Executor::take_piece(std::string_view piece) {
  if (insert_) {
    insert_refused_ = !insert_->append(piece);
    return {};
  }
  text_ += piece;
  if (!looked_for_insert_ && text_.size() >= kInsertHead) {
    looked_for_insert_ = true;
    shape_ = shape_of(text_);
    if (shape_.has_insert_data) return begin_insert();
  }
  if (text_.size() > kMaxStatement) {
    return make_error(Code::query_is_too_large, fmt::format("The statement is longer than {} bytes", kMaxStatement));
  }
  return {};
}

// ---- INSERT with data ------------------------------------------------------------------------------------------

EngineResult<void> Executor::begin_insert() {
  if (shape_.names_a_file)
    return make_error(Code::not_implemented,
                      "INSERT … FROM INFILE reads a file of the client: send its contents as data");
  if (lease_ != nullptr && asks_for_readonly(context_.request))
    return readonly_error(context_.request.credentials.user);
  if (auto prepared = prepare(); !prepared) return prepared;
  auto opened = InsertStream::open(connection_, std::string_view(text_).substr(0, shape_.head_size),
                                   shape_.insert_format, context_.request.parameters);
  if (!opened) return opened.error();
  insert_.emplace(std::move(*opened));
  insert_refused_ = !insert_->append(std::string_view(text_).substr(shape_.data_offset));
  text_.clear();
  text_.shrink_to_fit();
  return {};
}

EngineResult<void> Executor::finish_insert() {
  auto finished = insert_->finish();
  insert_.reset();
  if (!finished) return finished.error();
  Progress progress = *finished;
  // As the server counts: what an INSERT reads is what it writes.
  progress.read_rows = progress.written_rows;
  progress.read_bytes = progress.written_bytes;
  progress.result_rows = progress.written_rows;
  progress.result_bytes = progress.written_bytes;
  send_whole("", "", progress);
  return {};
}

// ---- everything else -------------------------------------------------------------------------------------------

EngineResult<void> Executor::prepare() {
  if (lease_ != nullptr) return prepare_session(*lease_->session(), context_.request, shape_);
  return prepare_own_connection(connection_, context_.request);
}

EngineResult<void> Executor::check_statement() {
  if (shape_.first_word.empty())
    return make_error(Code::syntax_error, "Syntax error: failed at position 1 (end of query): Empty query");
  if (shape_.names_a_file && shape_.first_word != "INSERT")
    return make_error(Code::into_outfile_not_allowed, "INTO OUTFILE is not allowed");
  if (shape_.names_a_file)
    return make_error(Code::not_implemented,
                      "INSERT … FROM INFILE reads a file of the client: send its contents as data");
  if (shape_.reads_input) {
    return make_error(Code::not_implemented,
                      "INSERT … SELECT … FROM input() is not supported by this front: insert into "
                      "a table and select from it");
  }
  const auto analysis = connection_.classify(text_);
  if (analysis.statement_count > 1) {
    return make_error(Code::syntax_error,
                      "Syntax error (Multi-statements are not allowed): send one statement in a request");
  }
  const auto kind = static_cast<ChdbQueryClass>(analysis.query_class);
  const bool changes_session = shape_.first_word == "SET" || shape_.first_word == "USE";
  const bool harmless = kind == ChdbQueryClass::read_only || kind == ChdbQueryClass::unknown || changes_session;
  // Without a session the engine itself is in read-only mode.
  if (lease_ != nullptr && asks_for_readonly(context_.request) && !harmless)
    return readonly_error(context_.request.credentials.user);
  return {};
}

EngineResult<void> Executor::run_statement() {
  if (auto checked = check_statement(); !checked) return checked;
  if (auto prepared = prepare(); !prepared) return prepared;
  std::string format = shape_.output_format;
  if (format.empty()) format = context_.request.default_format;
  if (format.empty()) format = "TabSeparated";
  const bool in_pieces = shape_.may_return_rows_in_pieces() && stream_rule(format) != StreamRule::whole &&
                         !context_.request.wait_end_of_query;
  if (in_pieces) return answer_in_pieces(format);
  static constexpr std::string_view kWithRows[] = {"SELECT", "WITH",    "(",      "SHOW",   "DESCRIBE",
                                                   "DESC",   "EXPLAIN", "EXISTS", "CHECK",  "KILL",
                                                   "VALUES", "TABLE",   "FROM",   "BACKUP", "RESTORE"};
  const bool has_rows = std::find(std::begin(kWithRows), std::end(kWithRows), shape_.first_word) != std::end(kWithRows);
  return answer_whole(format, has_rows);
}

EngineResult<void> Executor::answer_whole(std::string_view format, bool has_rows) {
  auto result = connection_.query(text_, format, context_.request.parameters);
  if (!result) return result.error();
  Progress progress = result->progress();
  if (progress.written_rows > 0) progress.result_rows = progress.written_rows;
  send_whole(result->bytes(), has_rows ? format : std::string_view{}, progress);
  return {};
}

// One chunk is always held back: an error in the second still gets its own status, and the session
// is free before the last.
EngineResult<void> Executor::answer_in_pieces(std::string_view format) {
  const auto rule = stream_rule(format);
  Progress progress;
  auto stream = ResultStream::open(connection_, text_, format, context_.request.parameters);
  if (!stream) return stream.error();
  auto chunk = stream->next();
  if (!chunk) return chunk.error();
  bool first = true;
  for (;;) {
    progress.add(chunk->progress());
    auto bytes = chunk->bytes();
    if (!first) bytes.remove_prefix(header_size(rule, bytes).value_or(0));
    std::optional<ResultChunk> following;
    if (!chunk->bytes().empty()) {
      auto next = stream->next();
      if (!next) {
        if (!context_.response.begun()) return next.error();
        fail_after_begin(next.error());
        return {};
      }
      following.emplace(std::move(*next));
    }
    const bool last = !following || following->bytes().empty();
    if (last && first) {
      send_whole(bytes, format, progress);
      return {};
    }
    if (first) begin_pieces(format, progress);
    first = false;
    if (last) release_session();
    // The client is gone: the stream's destructor ends the statement.
    if (!send_piece(bytes)) return {};
    if (last) break;
    *chunk = std::move(*following);
  }
  end_pieces();
  return {};
}

// ---- answering -------------------------------------------------------------------------------------------------

void Executor::release_session() {
  if (lease_ != nullptr) lease_->release();
}

Coding Executor::answer_coding() const {
  const bool wanted = context_.request.compress_answer.value_or(context_.engine.compresses_by_default());
  return wanted ? context_.request.accepted_coding : Coding::identity;
}

void Executor::set_headers(std::string_view format, const Progress& progress) {
  const auto elapsed =
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - started_);
  auto& response = context_.response;
  if (!format.empty()) response.set_header("X-ClickHouse-Format", std::string(format));
  response.set_header("X-ClickHouse-Timezone", context_.engine.timezone());
  response.set_header("X-ClickHouse-Exception-Tag", exception_tag_);
  response.set_header(
      "X-ClickHouse-Summary",
      fmt::format("{{\"read_rows\":\"{}\",\"read_bytes\":\"{}\",\"written_rows\":"
                  "\"{}\",\"written_bytes\":\"{}\","
                  "\"total_rows_to_read\":\"0\",\"result_rows\":\"{}\",\"result_"
                  "bytes\":\"{}\",\"elapsed_ns\":\"{}\"}}",
                  progress.read_rows, progress.read_bytes, progress.written_rows, progress.written_bytes,
                  progress.result_rows, progress.result_bytes, elapsed.count()));
}

void Executor::send_whole(std::string_view bytes, std::string_view format, const Progress& progress) {
  set_headers(format, progress);
  const auto type = format.empty() ? "text/plain; charset=UTF-8" : content_type_of(format);
  const auto coding = bytes.empty() ? Coding::identity : answer_coding();
  release_session();
  if (coding == Coding::identity) {
    context_.response.send(200, type, bytes);
    return;
  }
  context_.response.set_header("Content-Encoding", std::string(to_string(coding)));
  compressor_ = make_compressor(coding);
  context_.response.begin(200, type);
  // In pieces, so that a large result is not doubled in memory by its compressed form.
  bool alive = true;
  for (; alive && !bytes.empty(); bytes.remove_prefix(std::min(bytes.size(), kReadPiece * 4)))
    alive = send_piece(bytes.substr(0, kReadPiece * 4));
  if (alive) end_pieces();
}

void Executor::begin_pieces(std::string_view format, const Progress& progress) {
  set_headers(format, progress);
  const auto coding = answer_coding();
  if (coding != Coding::identity) {
    context_.response.set_header("Content-Encoding", std::string(to_string(coding)));
    compressor_ = make_compressor(coding);
  }
  context_.response.begin(200, content_type_of(format));
}

bool Executor::send_piece(std::string_view bytes) {
  if (!compressor_) return context_.response.write(bytes);
  std::string out;
  compressor_->add(bytes, out);
  return context_.response.write(out);
}

void Executor::end_pieces() {
  if (compressor_) {
    std::string out;
    compressor_->finish(out);
    if (!context_.response.write(out)) return;
  }
  context_.response.end();
}

// The status is sent already: the error goes into the body between marks that official clients know
// (their tag is in the headers), and the answer stays without its end.
void Executor::fail_after_begin(const EngineError& error) {
  const auto text = with_version(error, context_.engine.version()) + "\n";
  release_session();
  send_piece(fmt::format("\r\n__exception__\r\n{}\r\n{}{} {}\r\n__exception__\r\n", exception_tag_, text, text.size(),
                         exception_tag_));
  if (compressor_) {
    std::string out;
    compressor_->finish(out);
    context_.response.write(out);
  }
  context_.response.abort();
}

}  // namespace mp::engine
