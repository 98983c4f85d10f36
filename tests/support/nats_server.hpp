#pragma once
// A nats-server of its own for a test: JetStream, a free port of the loopback, files in a temporary directory.

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace mp::test {

enum class NatsVersion {
  current,  // tools/setup's (or MARKETPRISM_NATS_SERVER); has fast ingest
  debian,   // 2.9.10, of tools/setup --tests or installed
};
const char* to_string(NatsVersion version);

// Where that server's program is; nullopt when it is not installed.
std::optional<std::string> nats_server_program(NatsVersion version);
// True when a missing dependency must fail a test instead of skipping it (CI, MARKETPRISM_REQUIRE_DEPS).
bool dependencies_are_required();

// Skips (or fails, see above) the running test when there is no such server. Use at a test's begin.
#define MP_NEEDS_NATS(version)                                                                                \
  do {                                                                                                        \
    if (!::mp::test::nats_server_program(version)) {                                                          \
      if (::mp::test::dependencies_are_required()) FAIL() << "no nats-server (" << to_string(version) << ")"; \
      GTEST_SKIP() << "no nats-server (" << to_string(version) << "): run tools/setup --tests, or set "       \
                   << "MARKETPRISM_NATS_SERVER";                                                              \
    }                                                                                                         \
  } while (false)

// Ends its server and removes its files on destruction. One thread.
class NatsServer {
 public:
  struct Options {
    NatsVersion version = NatsVersion::current;
    std::string user, password;  // asked of clients when given
    std::string config_lines;    // more lines for the configuration file
  };
  // Starts it and waits until it accepts connections; throws std::runtime_error with its log otherwise.
  explicit NatsServer(NatsVersion version = NatsVersion::current);
  explicit NatsServer(const Options& options);
  ~NatsServer();
  NatsServer(const NatsServer&) = delete;
  NatsServer& operator=(const NatsServer&) = delete;

  std::string url() const { return "nats://127.0.0.1:" + std::to_string(port_); }
  int port() const { return port_; }
  const std::filesystem::path& directory() const { return directory_; }
  std::string log() const;

  void kill_hard();                                               // SIGKILL and wait
  void stop();                                                    // SIGTERM and wait
  void pause();                                                   // SIGSTOP: accepts connections, answers nothing
  void resume();                                                  // SIGCONT
  void start();                                                   // again, on the same port and the same store
  void ask_for_password(std::string user, std::string password);  // from the next start() on; empty: of nobody
  void remove_store();                                            // while it is down: as if the disk had been lost

 private:
  void launch(int port);
  void wait_until_ready();

  Options options_;
  std::filesystem::path directory_;
  int port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace mp::test
