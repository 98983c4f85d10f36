#pragma once
// A child process: started in a process group of its own (so that Ctrl-C reaches the launcher alone), its output
// in a pipe, killed by the kernel when the launcher dies.

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace mp::launcher {

struct ExitStatus {
  bool exited = false;  // otherwise by a signal
  int code = 0;         // exit code, or the signal's number
  bool success() const { return exited && code == 0; }
  std::string text() const;  // "exit status 1", "killed by signal 9 (Killed)"
};

class Process {
 public:
  // `environment` is added to this process's. `niceness`: how far it stands back for the others when the processors
  // are busy (0 to 19). Call from the main thread only: the kernel ends the child when the *thread* that made it ends.
  static Result<Process> start(const std::vector<std::string>& argv,
                               const std::map<std::string, std::string>& environment, int niceness = 0);
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  ~Process();  // kills and reaps

  pid_t pid() const { return pid_; }
  int output() const { return output_; }  // read end, non-blocking
  void signal(int number) const;
  std::optional<ExitStatus> poll_exit();  // reaps; once there, the process is gone

 private:
  Process(pid_t pid, int output) : pid_(pid), output_(output) {}
  void end();
  pid_t pid_ = -1;
  int output_ = -1;
};

}  // namespace mp::launcher
