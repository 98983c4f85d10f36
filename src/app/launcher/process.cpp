#include "app/launcher/process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

extern char** environ;

namespace mp::launcher {
namespace {

Error system_error(const std::string& what) { return {Errc::io, what, std::strerror(errno)}; }

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (auto& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

std::vector<std::string> environment_with(const std::map<std::string, std::string>& added) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (!added.contains(text.substr(0, text.find('=')))) all.push_back(text);
  }
  for (const auto& [name, value] : added) all.push_back(name + "=" + value);
  return all;
}

// Between fork and exec: system calls only, since other threads may have held locks.
[[noreturn]] void become(pid_t parent, int niceness, int output, int report, char** argv, char** envp) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // it died before the line above
  ::setpgid(0, 0);
  [[maybe_unused]] const int now = ::nice(niceness);  // refused: then it runs like the others
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  const int null = ::open("/dev/null", O_RDONLY);
  ::dup2(null, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  ::execve(argv[0], argv, envp);
  const int error = errno;
  [[maybe_unused]] const auto ignored = ::write(report, &error, sizeof error);
  ::_exit(127);
}

}  // namespace

std::string ExitStatus::text() const {
  return exited ? fmt::format("exit status {}", code)
                : fmt::format("killed by signal {} ({})", code, ::strsignal(code));
}

Result<Process> Process::start(const std::vector<std::string>& argv,
                               const std::map<std::string, std::string>& environment, int niceness) {
  auto arguments = argv;
  auto variables = environment_with(environment);
  auto argument_pointers = pointers(arguments);
  auto variable_pointers = pointers(variables);
  int output[2];
  int report[2];  // closed by a successful exec; otherwise brings errno
  if (::pipe2(output, O_CLOEXEC) != 0) return system_error("a pipe for " + argv[0]);
  if (::pipe2(report, O_CLOEXEC) != 0) {
    ::close(output[0]);
    ::close(output[1]);
    return system_error("a pipe for " + argv[0]);
  }
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) become(parent, niceness, output[1], report[1], argument_pointers.data(), variable_pointers.data());
  const int fork_error = errno;
  ::close(output[1]);
  ::close(report[1]);
  int error = 0;
  const bool failed = pid > 0 && ::read(report[0], &error, sizeof error) == static_cast<ssize_t>(sizeof error);
  ::close(report[0]);
  if (pid < 0 || failed) {
    ::close(output[0]);
    if (failed) ::waitpid(pid, nullptr, 0);
    return Error{Errc::io, "starting " + argv[0], std::strerror(failed ? error : fork_error)};
  }
  ::fcntl(output[0], F_SETFL, O_NONBLOCK);
  return Process(pid, output[0]);
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), output_(std::exchange(other.output_, -1)) {}

Process& Process::operator=(Process&& other) noexcept {
  if (this != &other) {
    end();
    pid_ = std::exchange(other.pid_, -1);
    output_ = std::exchange(other.output_, -1);
  }
  return *this;
}

Process::~Process() { end(); }

void Process::end() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  if (output_ >= 0) ::close(output_);
  pid_ = output_ = -1;
}

void Process::signal(int number) const {
  if (pid_ > 0) ::kill(pid_, number);
}

std::optional<ExitStatus> Process::poll_exit() {
  int status = 0;
  if (pid_ <= 0 || ::waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  pid_ = -1;
  if (WIFEXITED(status)) return ExitStatus{true, WEXITSTATUS(status)};
  return ExitStatus{false, WTERMSIG(status)};
}

}  // namespace mp::launcher
