#include "tests/support/embedded_clickhouse.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "tests/support/ports.hpp"

namespace mp::test {
namespace fs = std::filesystem;
using namespace std::chrono_literals;

bool have_libchdb() {
  const char* named = std::getenv("MARKETPRISM_LIBCHDB");
  return fs::exists(named != nullptr && *named != '\0' ? fs::path(named)
                                                       : fs::path(MP_SOURCE_DIR) / ".deps/chdb/libchdb.so");
}

fs::path temporary_directory(const std::string& name) {
  std::string pattern = (fs::temp_directory_path() / ("mp_" + name + "_XXXXXX")).string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary directory " + pattern);
  return pattern;
}

std::string read_file(const fs::path& path) {
  std::ifstream in{path};
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

Child::Child(const std::vector<std::string>& command, const fs::path& log) {
  std::vector<char*> arguments;
  for (const auto& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ != 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // strikes when the forking thread ends: start children on the main thread
  if (::getppid() != parent) ::_exit(127);
  const int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  ::dup2(fd, STDOUT_FILENO);
  ::dup2(fd, STDERR_FILENO);
  ::execv(arguments[0], arguments.data());
  ::_exit(127);
}

Child::~Child() { kill_hard(); }

void Child::signal(int number) {
  if (running()) ::kill(pid_, number);
}

bool Child::running() {
  if (status_ || pid_ <= 0) return false;
  int raw = 0;
  if (::waitpid(pid_, &raw, WNOHANG) == 0) return true;
  status_ = WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
  return false;
}

void Child::kill_hard() {
  signal(SIGKILL);
  wait(60s);
}

std::optional<int> Child::wait(std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (running()) {
    if (std::chrono::steady_clock::now() > deadline) return std::nullopt;
    std::this_thread::sleep_for(5ms);
  }
  return status_;
}

EmbeddedClickHouse::EmbeddedClickHouse(std::string program)
    : program_(std::move(program)), directory_(temporary_directory("clickhouse")), port_(free_port()) {
  start();
}

EmbeddedClickHouse::~EmbeddedClickHouse() {
  child_.reset();
  fs::remove_all(directory_);
}

void EmbeddedClickHouse::start() {
  child_ =
      std::make_unique<Child>(std::vector<std::string>{program_, "clickhouse", "--data", (directory_ / "data").string(),
                                                       "--http", "127.0.0.1:" + std::to_string(port_)},
                              directory_ / "log");
  const auto deadline = std::chrono::steady_clock::now() + 60s;
  for (;;) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port_));
    const void* raw = &address;
    const bool listens = ::connect(fd, static_cast<const sockaddr*>(raw), sizeof address) == 0;
    ::close(fd);
    if (listens) return;
    if (!child_->running() || std::chrono::steady_clock::now() > deadline)
      throw std::runtime_error("marketprism clickhouse does not start:\n" + log());
    std::this_thread::sleep_for(10ms);
  }
}

std::string EmbeddedClickHouse::log() const { return read_file(directory_ / "log"); }

}  // namespace mp::test
