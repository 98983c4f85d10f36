#include "engine/engine.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>

namespace mp::engine {
namespace {

namespace fs = std::filesystem;

// Names and values side by side, as the C interface wants them; views into `from`, which must live
// on.
class ParameterArrays {
 public:
  explicit ParameterArrays(const NameValues& from) {
    for (const auto& [name, value] : from) {
      names_.push_back(name.data());
      name_sizes_.push_back(name.size());
      values_.push_back(value.data());
      value_sizes_.push_back(value.size());
    }
  }
  ChdbParameters view() const {
    return {names_.data(), name_sizes_.data(), values_.data(), value_sizes_.data(), names_.size()};
  }

 private:
  std::vector<const char*> names_;
  std::vector<std::size_t> name_sizes_;
  std::vector<const char*> values_;
  std::vector<std::size_t> value_sizes_;
};

std::optional<EngineError> error_of(const ChdbApi& api, ChdbResult* result) {
  if (result == nullptr) return make_error(Code::cannot_execute, "the engine gave no result");
  const char* text = api.result_error(result);
  if (text == nullptr || *text == '\0') return std::nullopt;
  return from_engine_text(text);
}

// ---- the data directory ----------------------------------------------------------------------------------------

std::string system_text(int error) { return std::strerror(error); }

Result<std::string> make_directory(const std::string& wanted) {
  std::error_code ec;
  const fs::path path = fs::absolute(wanted, ec);
  if (!ec) fs::create_directories(path, ec);
  if (ec) {
    return Error{Errc::io, "data directory " + wanted,
                 fmt::format("cannot be created: {}; choose another with --data", ec.message())};
  }
  // The engine wants an absolute path (a relative one fails with its code 107).
  return path.lexically_normal().string();
}

// Finds out by writing: permissions alone do not tell a read-only or a full file system.
Result<void> check_writable(const std::string& directory) {
  const std::string probe = directory + "/.marketprism-write-test";
  const int fd = ::open(probe.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
  int error = fd < 0 ? errno : 0;
  if (fd >= 0) {
    const std::string block(4096, 'x');
    if (::write(fd, block.data(), block.size()) != static_cast<ssize_t>(block.size()) || ::fsync(fd) != 0)
      error = errno == 0 ? ENOSPC : errno;
    ::close(fd);
    ::unlink(probe.c_str());
  }
  if (error == 0) return {};
  const char* what_to_do = error == ENOSPC || error == EDQUOT
                               ? "free space there, or choose another directory with --data"
                               : "make it writable, or choose another directory with --data";
  return Error{Errc::io, "data directory " + directory,
               fmt::format("cannot be written: {}; {}", system_text(error), what_to_do)};
}

std::string holder_of(const std::string& status_file) {
  std::ifstream in(status_file);
  std::string line;
  // The engine writes "PID: 1234" there.
  while (std::getline(in, line)) {
    if (line.rfind("PID:", 0) == 0) return " (process" + line.substr(4) + ")";
  }
  return "";
}

// The engine locks DIR/status with flock(2) and says so on standard error only: look first, to tell
// it well. The lock dies with its process, so one that is held means a living holder.
Result<void> check_unlocked(const std::string& directory) {
  const std::string file = directory + "/status";
  const int fd = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return {};
  const bool locked = ::flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(fd);
  if (!locked) return {};
  return Error{Errc::conflict, "data directory " + directory,
               fmt::format("is in use by another ClickHouse{}: stop that one, or choose another "
                           "directory with --data",
                           holder_of(file))};
}

using Arguments = std::vector<std::string>;

ChdbConnection connect_to(const ChdbApi& api, const std::string& directory, const Arguments& more = {}) {
  Arguments arguments{"clickhouse", "--path=" + directory,
                      // The library reads a bare expression as a SELECT; a server does not.
                      "--implicit_select=0"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  std::vector<char*> argv;
  for (auto& argument : arguments) argv.push_back(argument.data());
  return api.connect(static_cast<int>(argv.size()), argv.data());
}

// Server settings: the engine takes them from the connection that starts it.
Arguments limit_arguments(const EngineLimits& limits) {
  const auto pages = static_cast<std::uint64_t>(std::max(0L, ::sysconf(_SC_PHYS_PAGES)));
  const auto memory = pages * static_cast<std::uint64_t>(std::max(0L, ::sysconf(_SC_PAGESIZE)));
  const auto allowed = limits.max_memory_bytes != 0 ? limits.max_memory_bytes : memory / 2;
  return {fmt::format("--max_server_memory_usage={}", allowed),
          fmt::format("--mark_cache_size={}", limits.mark_cache_bytes),
          fmt::format("--primary_index_cache_size={}", limits.index_cache_bytes),
          fmt::format("--index_mark_cache_size={}", limits.index_cache_bytes),
          fmt::format("--storage_configuration.disks.default.keep_free_space_bytes={}", limits.keep_free_bytes)};
}

}  // namespace

void Progress::add(const Progress& other) {
  read_rows += other.read_rows;
  read_bytes += other.read_bytes;
  written_rows += other.written_rows;
  written_bytes += other.written_bytes;
  result_rows += other.result_rows;
  result_bytes += other.result_bytes;
}

// ---- results ---------------------------------------------------------------------------------------------------

ResultChunk::~ResultChunk() {
  if (result_ != nullptr) api_->destroy_result(result_);
}

std::string_view ResultChunk::bytes() const {
  const auto size = api_->result_length(result_);
  return size == 0 ? std::string_view{} : std::string_view{api_->result_buffer(result_), size};
}

Progress ResultChunk::progress() const {
  return {.read_rows = api_->storage_rows_read(result_),
          .read_bytes = api_->storage_bytes_read(result_),
          .written_rows = api_->rows_written(result_),
          .written_bytes = api_->bytes_written(result_),
          .result_rows = api_->result_rows(result_),
          .result_bytes = api_->result_bytes(result_)};
}

// ---- a connection ----------------------------------------------------------------------------------------------

Connection::~Connection() {
  if (connection_ != nullptr) api_->close(connection_);
}

EngineResult<ResultChunk> Connection::query(std::string_view sql, std::string_view format,
                                            const NameValues& parameters) {
  const ParameterArrays arrays(parameters);
  const auto p = arrays.view();
  ChdbResult* result = api_->query(handle(), sql.data(), sql.size(), format.data(), format.size(), p.names,
                                   p.name_sizes, p.values, p.value_sizes, p.count);
  if (auto error = error_of(*api_, result)) {
    if (result != nullptr) api_->destroy_result(result);
    return *error;
  }
  return ResultChunk(*api_, result);
}

EngineResult<std::string> Connection::scalar(std::string_view sql) {
  auto result = query(sql, "TabSeparatedRaw");
  if (!result) return result.error();
  const auto bytes = result->bytes();
  return std::string(bytes.substr(0, bytes.find_first_of("\t\n")));
}

ChdbAnalysis Connection::classify(std::string_view sql) {
  ChdbAnalysis analysis;
  analysis.query_class = static_cast<std::uint32_t>(ChdbQueryClass::unknown);
  api_->classify(handle(), sql.data(), sql.size(), nullptr, 0, &analysis);
  return analysis;
}

// ---- streams ---------------------------------------------------------------------------------------------------

EngineResult<ResultStream> ResultStream::open(Connection& connection, std::string_view sql, std::string_view format,
                                              const NameValues& parameters) {
  const ParameterArrays arrays(parameters);
  const auto p = arrays.view();
  const auto& api = connection.api();
  ChdbResult* stream = api.stream_query(connection.handle(), sql.data(), sql.size(), format.data(), format.size(),
                                        p.names, p.name_sizes, p.values, p.value_sizes, p.count);
  if (auto error = error_of(api, stream)) {
    if (stream != nullptr) api.destroy_result(stream);
    return *error;
  }
  return ResultStream(connection, stream);
}

ResultStream::~ResultStream() {
  if (stream_ == nullptr) return;
  const auto& api = connection_->api();
  if (!done_) api.stream_cancel(connection_->handle(), stream_);
  api.destroy_result(stream_);
}

EngineResult<ResultChunk> ResultStream::next() {
  const auto& api = connection_->api();
  ChdbResult* chunk = api.stream_fetch(connection_->handle(), stream_);
  if (auto error = error_of(api, chunk)) {
    done_ = true;
    if (chunk != nullptr) api.destroy_result(chunk);
    return *error;
  }
  ResultChunk out(api, chunk);
  done_ = out.bytes().empty();
  return out;
}

EngineResult<InsertStream> InsertStream::open(Connection& connection, std::string_view head, std::string_view format,
                                              const NameValues& parameters) {
  const ParameterArrays arrays(parameters);
  const auto p = arrays.view();
  const auto& api = connection.api();
  ChdbInsert* stream = api.insert_begin(connection.handle(), head.data(), head.size(), format.data(), format.size(),
                                        p.names, p.name_sizes, p.values, p.value_sizes, p.count);
  if (stream == nullptr) return make_error(Code::cannot_execute, "the engine gave no insert stream");
  InsertStream out(connection, stream);
  if (const char* text = api.insert_error(stream); text != nullptr && *text != '\0') {
    out.open_ = false;
    return from_engine_text(text);
  }
  return out;
}

InsertStream::~InsertStream() {
  if (stream_ == nullptr) return;
  const auto& api = connection_->api();
  if (open_) api.insert_cancel(stream_);
  api.insert_destroy(stream_);
}

bool InsertStream::append(std::string_view bytes) {
  return bytes.empty() || connection_->api().insert_append(stream_, bytes.data(), bytes.size()) == 0;
}

EngineResult<Progress> InsertStream::finish() {
  const auto& api = connection_->api();
  open_ = false;
  ChdbResult* result = api.insert_done(stream_);
  if (auto error = error_of(api, result)) {
    if (result != nullptr) api.destroy_result(result);
    return *error;
  }
  return ResultChunk(api, result).progress();
}

// ---- the engine ------------------------------------------------------------------------------------------------

Result<std::unique_ptr<Engine>> Engine::open(const std::string& data_directory, const EngineLimits& limits) {
  const auto api = load_chdb();
  if (!api) return api.error();
  auto directory = make_directory(data_directory);
  if (!directory) return directory.error();
  if (auto writable = check_writable(*directory); !writable) return writable.error();
  if (auto unlocked = check_unlocked(*directory); !unlocked) return unlocked.error();

  // Before the first connection: SIGTERM and the like are ours.
  (*api)->set_signal_handlers_enabled(0);
  std::unique_ptr<Engine> engine(new Engine(**api, *directory));
  auto base = engine->checked(connect_to(**api, *directory, limit_arguments(limits)));
  if (!base) return base.error();
  engine->base_ = std::make_unique<Connection>(std::move(*base));
  auto facts = engine->base_->query(
      "SELECT version(), timezone(), (SELECT value FROM system.settings WHERE name = "
      "'enable_http_compression')",
      "TabSeparatedRaw");
  if (!facts) return Error{Errc::corrupt, "data directory " + *directory, facts.error().text};
  const std::string line(facts->bytes());
  const auto first = line.find('\t');
  const auto second = line.find('\t', first + 1);
  engine->version_ = line.substr(0, first);
  engine->timezone_ = line.substr(first + 1, second - first - 1);
  engine->compresses_by_default_ = line.substr(second + 1, 1) != "0";
  return engine;
}

Engine::~Engine() = default;

Result<Connection> Engine::connect() { return checked(connect_to(api_, directory_)); }

Result<Connection> Engine::checked(ChdbConnection connection) const {
  if (connection == nullptr || *connection == nullptr) {
    return Error{Errc::unavailable, "the ClickHouse engine did not open " + directory_,
                 "its own message stands on standard error; a damaged or foreign directory can be "
                 "moved away, and --data names another"};
  }
  return Connection(api_, connection);
}

void Engine::kill_all() {
  auto killer = connect();
  // Not SYNC: that can wait for ever for a statement that waits for its client.
  if (killer) (void)killer->query("KILL QUERY WHERE query NOT ILIKE 'KILL%' ASYNC", "Null");
}

}  // namespace mp::engine
