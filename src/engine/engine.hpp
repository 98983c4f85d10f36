#pragma once
// The ClickHouse engine in this process: opens a data directory and gives connections to it.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "engine/chdb_api.hpp"
#include "engine/engine_error.hpp"

namespace mp::engine {

using NameValues = std::vector<std::pair<std::string, std::string>>;

// What a statement did, for X-ClickHouse-Summary.
struct Progress {
  std::uint64_t read_rows = 0;
  std::uint64_t read_bytes = 0;
  std::uint64_t written_rows = 0;
  std::uint64_t written_bytes = 0;
  std::uint64_t result_rows = 0;
  std::uint64_t result_bytes = 0;
  void add(const Progress& other);
};

// A piece of a result, owned by the engine: no copy is made.
class ResultChunk {
 public:
  ResultChunk(const ChdbApi& api, ChdbResult* result) : api_(&api), result_(result) {}
  ResultChunk(ResultChunk&& other) noexcept : api_(other.api_), result_(std::exchange(other.result_, nullptr)) {}
  ResultChunk& operator=(ResultChunk&& other) noexcept {
    std::swap(api_, other.api_);
    std::swap(result_, other.result_);
    return *this;
  }
  ~ResultChunk();
  std::string_view bytes() const;
  Progress progress() const;

 private:
  friend class ResultStream;
  const ChdbApi* api_;
  ChdbResult* result_;
};

// One connection of the engine: statements run one after another, session state (USE, SET,
// temporary tables) lives here. Opening one costs 0.2 ms and the first statement another 0.4 ms
// (docs/decisions/0002-embedded-clickhouse.md), so the front opens one for each request: nothing
// can leak from one to the next. Runs on: one thread at a time. Outlived by: the Engine.
class Connection {
 public:
  Connection(const ChdbApi& api, ChdbConnection connection) : api_(&api), connection_(connection) {}
  Connection(Connection&& other) noexcept : api_(other.api_), connection_(std::exchange(other.connection_, nullptr)) {}
  Connection& operator=(Connection&&) = delete;
  ~Connection();

  // Runs the statement; the whole result is in the engine's memory.
  EngineResult<ResultChunk> query(std::string_view sql, std::string_view format, const NameValues& parameters = {});
  // The first column of the first row as text, "" without rows.
  EngineResult<std::string> scalar(std::string_view sql);
  // How many statements the text holds, and what kind; count 0 when it does not parse.
  ChdbAnalysis classify(std::string_view sql);

  ChdbHandle* handle() const { return *connection_; }
  const ChdbApi& api() const { return *api_; }

 private:
  const ChdbApi* api_;
  ChdbConnection connection_;
};

// A SELECT read piece by piece. Each piece is a whole document of the format (names, brackets and
// all), so only formats whose documents can follow one another are read this way: see stream_rule()
// in formats.hpp.
class ResultStream {
 public:
  static EngineResult<ResultStream> open(Connection& connection, std::string_view sql, std::string_view format,
                                         const NameValues& parameters);
  ResultStream(ResultStream&& other) noexcept
      : connection_(other.connection_), stream_(std::exchange(other.stream_, nullptr)), done_(other.done_) {}
  ResultStream& operator=(ResultStream&&) = delete;
  ~ResultStream();  // cancels what is not read
  // Empty bytes at the end.
  EngineResult<ResultChunk> next();

 private:
  ResultStream(Connection& connection, ChdbResult* stream) : connection_(&connection), stream_(stream) {}
  Connection* connection_;
  ChdbResult* stream_;
  bool done_ = false;
};

// An INSERT whose data comes piece by piece. Nothing is committed before finish(), but for what the
// engine cuts into blocks of their own (more than max_insert_block_size rows).
class InsertStream {
 public:
  // `head` is the statement up to and without FORMAT.
  static EngineResult<InsertStream> open(Connection& connection, std::string_view head, std::string_view format,
                                         const NameValues& parameters);
  InsertStream(InsertStream&& other) noexcept
      : connection_(other.connection_), stream_(std::exchange(other.stream_, nullptr)), open_(other.open_) {}
  InsertStream& operator=(InsertStream&&) = delete;
  ~InsertStream();  // cancels what is not finished
  // False when the insert has failed: finish() says why. Blocks while the engine is behind.
  bool append(std::string_view bytes);
  EngineResult<Progress> finish();

 private:
  InsertStream(Connection& connection, ChdbInsert* stream) : connection_(&connection), stream_(stream) {}
  Connection* connection_;
  ChdbInsert* stream_;
  bool open_ = true;
};

// What the engine may take of this machine, where its own defaults are a server's.
struct EngineLimits {
  std::uint64_t max_memory_bytes = 0;  // for all statements together; 0: half of the machine's memory
  std::uint64_t mark_cache_bytes = 256u << 20;
  std::uint64_t index_cache_bytes = 128u << 20;
  // Of the disk: with less than this free, inserts and merges are refused (code 243). libchdb 26.7 does not see that
  // write() fails: an INSERT that meets the end of the disk is answered as done, and its part cannot be read.
  std::uint64_t keep_free_bytes = 512u << 20;
};

class Engine {
 public:
  // Creates the directory when it is not there. Errc::unavailable: no library; Errc::conflict:
  // another process has the directory; Errc::io: it cannot be written. One engine per process.
  static Result<std::unique_ptr<Engine>> open(const std::string& data_directory, const EngineLimits& limits = {});
  ~Engine();  // flushes and releases the directory's lock; every Connection must be gone

  Result<Connection> connect();
  const std::string& version() const { return version_; }    // "26.7.2.1", SELECT version()
  const std::string& timezone() const { return timezone_; }  // of the server
  bool compresses_by_default() const { return compresses_by_default_; }
  const std::string& data_directory() const { return directory_; }
  // Asks the engine to end every statement under way; returns at once.
  void kill_all();

 private:
  Engine(const ChdbApi& api, std::string directory) : api_(api), directory_(std::move(directory)) {}
  Result<Connection> checked(ChdbConnection connection) const;

  const ChdbApi& api_;
  std::string directory_;
  std::string version_;
  std::string timezone_;
  bool compresses_by_default_ = true;
  // Held from start to end: closing the last connection shuts the engine down.
  std::unique_ptr<Connection> base_;
};

}  // namespace mp::engine
