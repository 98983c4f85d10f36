#include "tests/support/nats_server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <future>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "tests/support/ports.hpp"

namespace mp::test {
namespace fs = std::filesystem;

const char* to_string(NatsVersion version) { return version == NatsVersion::current ? "current" : "debian"; }

namespace {

bool is_program(const fs::path& path) { return access(path.c_str(), X_OK) == 0 && fs::is_regular_file(path); }

bool greets(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const void* raw = &address;
  bool yes = false;
  if (connect(fd, static_cast<const sockaddr*>(raw), sizeof address) == 0) {
    pollfd wait{fd, POLLIN, 0};
    char first = 0;
    yes = poll(&wait, 1, 200) == 1 && read(fd, &first, 1) == 1;
  }
  close(fd);
  return yes;
}

// Forks on one thread that lasts as long as the process: PR_SET_PDEATHSIG strikes when the forking *thread*
// ends, and a test may start a server from a short-lived one.
class Forker {
 public:
  static pid_t run(const std::vector<std::string>& command, const std::string& log_name) {
    static Forker* const forker = new Forker;  // never destroyed: its thread runs to the end of the process
    std::packaged_task<pid_t()> task([&] { return fork_and_exec(command, log_name); });
    auto result = task.get_future();
    {
      const std::lock_guard lock(forker->mutex_);
      forker->tasks_.push_back(std::move(task));
    }
    forker->wake_.notify_one();
    return result.get();
  }

 private:
  Forker() {
    std::thread([this] {
      for (;;) {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return !tasks_.empty(); });
        auto task = std::move(tasks_.front());
        tasks_.pop_front();
        lock.unlock();
        task();
      }
    }).detach();
  }

  static pid_t fork_and_exec(const std::vector<std::string>& command, const std::string& log_name) {
    std::vector<char*> arguments;
    for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid != 0) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that dies takes its server along
    if (getppid() != parent) _exit(127);
    const int log_fd = open(log_name.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(log_fd, STDOUT_FILENO);
    dup2(log_fd, STDERR_FILENO);
    execv(arguments[0], arguments.data());
    _exit(127);
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::packaged_task<pid_t()>> tasks_;
};

}  // namespace

std::optional<std::string> nats_server_program(NatsVersion version) {
  std::vector<fs::path> places;
  if (version == NatsVersion::debian) {
    places = {fs::path(MP_SOURCE_DIR) / ".deps/nats-server-debian/nats-server", "/usr/sbin/nats-server",
              "/usr/bin/nats-server"};
  } else {
    if (const char* named = std::getenv("MARKETPRISM_NATS_SERVER")) places.emplace_back(named);
    places.emplace_back(fs::path(MP_SOURCE_DIR) / ".deps/nats-server/nats-server");
  }
  for (const fs::path& place : places) {
    if (is_program(place)) return place.string();
  }
  return std::nullopt;
}

bool dependencies_are_required() {
  const auto is_set = [](const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr && (std::string(value) == "true" || std::string(value) == "1");
  };
  return is_set("CI") || is_set("MARKETPRISM_REQUIRE_DEPS");
}

NatsServer::NatsServer(NatsVersion version) : NatsServer(Options{version, "", "", ""}) {}

NatsServer::NatsServer(const Options& options) : options_(options) {
  std::string pattern = (fs::temp_directory_path() / "mp-nats-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary directory: " + pattern);
  directory_ = pattern;
  for (int attempt = 1;; ++attempt) {
    port_ = free_port();
    try {
      start();
      return;
    } catch (const std::runtime_error&) {
      if (attempt == 3) throw;
    }
  }
}

NatsServer::~NatsServer() {
  kill_hard();
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

void NatsServer::start() {
  if (pid_ > 0) return;
  launch(port_);
  wait_until_ready();
}

void NatsServer::launch(int port) {
  const auto program = nats_server_program(options_.version);
  if (!program) throw std::runtime_error("nats-server is not installed");
  const fs::path config = directory_ / "nats.conf";
  std::ofstream file(config);
  file << "listen: \"127.0.0.1:" << port << "\"\n"
       << "jetstream { store_dir: \"" << (directory_ / "store").string() << "\", max_mem: 64MB, max_file: 20GB }\n";
  if (!options_.user.empty())
    file << "authorization { user: \"" << options_.user << "\", password: \"" << options_.password << "\" }\n";
  file << options_.config_lines << "\n";
  file.close();
  pid_ = Forker::run({*program, "-c", config.string()}, (directory_ / "server.log").string());
  if (pid_ < 0) throw std::runtime_error("fork failed");
}

void NatsServer::wait_until_ready() {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{20};
  while (std::chrono::steady_clock::now() < deadline) {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      throw std::runtime_error("nats-server ended at its start:\n" + log());
    }
    if (greets(port_)) return;
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  }
  throw std::runtime_error("nats-server does not answer:\n" + log());
}

std::string NatsServer::log() const {
  std::ifstream file(directory_ / "server.log");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void NatsServer::kill_hard() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void NatsServer::stop() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGTERM);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void NatsServer::pause() {
  if (pid_ > 0) ::kill(pid_, SIGSTOP);
}
void NatsServer::resume() {
  if (pid_ > 0) ::kill(pid_, SIGCONT);
}
void NatsServer::ask_for_password(std::string user, std::string password) {
  options_.user = std::move(user);
  options_.password = std::move(password);
}
void NatsServer::remove_store() { fs::remove_all(directory_ / "store"); }

}  // namespace mp::test
