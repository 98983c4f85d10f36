#pragma once
// `marketprism clickhouse` of its own for a test: the real engine, a free port, files in a temporary directory; and
// other subcommands as child processes. Needs the target `marketprism` (add_dependencies).

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace mp::test {

bool have_libchdb();

// Skips (or fails in CI) the running test when there is no libchdb. Needs nats_server.hpp's
// dependencies_are_required().
#define MP_NEEDS_CLICKHOUSE()                                                           \
  do {                                                                                  \
    if (!::mp::test::have_libchdb()) {                                                  \
      if (::mp::test::dependencies_are_required()) FAIL() << "no libchdb";              \
      GTEST_SKIP() << "no libchdb: run ./run --build-only, or set MARKETPRISM_LIBCHDB"; \
    }                                                                                   \
  } while (false)

// A child process of the test's main thread; SIGKILLed when the test dies or the object goes.
class Child {
 public:
  // Output is appended to `log`.
  Child(const std::vector<std::string>& command, const std::filesystem::path& log);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void signal(int number);
  void kill_hard();  // SIGKILL and wait
  // Waits for its end: the exit status, 128 + signal, or nothing when `patience` passed.
  std::optional<int> wait(std::chrono::milliseconds patience);
  bool running();
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  std::optional<int> status_;
};

class EmbeddedClickHouse {
 public:
  // `program`: the marketprism binary. Throws with the log when it does not start.
  explicit EmbeddedClickHouse(std::string program);
  ~EmbeddedClickHouse();

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  void kill_hard() { child_->kill_hard(); }
  void start();  // again, on the same port and data
  std::string log() const;

 private:
  std::string program_;
  std::filesystem::path directory_;
  int port_ = 0;
  std::unique_ptr<Child> child_;
};

std::filesystem::path temporary_directory(const std::string& name);
std::string read_file(const std::filesystem::path& path);

}  // namespace mp::test
