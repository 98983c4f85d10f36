#pragma once
// What must hold before anything is started; each complaint says which, where and what to do.

#include <string>
#include <vector>

#include "app/launcher/plan.hpp"
#include "base/result.hpp"

namespace mp::launcher {

// The programs and the library, from the environment (MARKETPRISM_NATS_SERVER, MARKETPRISM_LIBCHDB), the folder of
// this checkout or package, or (nats-server) the PATH.
Result<Tools> find_tools();
// The folder that holds .deps and services/: of the checkout or the package that this binary belongs to; "" if none.
std::string install_root();

// Every port that is taken, by whom, and the option that moves it.
Result<void> check_ports(const std::vector<PortUse>& ports);
// Who listens on a TCP port of this machine.
struct PortHolder {
  bool is_taken = false;
  int pid = 0;  // 0: /proc does not tell (another user's process)
  std::string program;
};
PortHolder holder_of(std::uint16_t port);
// "pid 4711 (nats-server)", or "another process" when /proc does not tell.
std::string who_listens_on(std::uint16_t port);

// Makes the folders and checks that they can be written and that there is room.
Result<void> check_folder(const std::string& path, std::uint64_t least_free_bytes = 1ull << 30);
Result<void> make_folders_and_files(const Plan& plan);

// Held as long as it lives: one launcher per data folder.
class FolderLock {
 public:
  // Errc::conflict, with the holder's pid.
  static Result<FolderLock> take(const std::string& folder);
  FolderLock(FolderLock&& other) noexcept : file_(other.file_) { other.file_ = -1; }
  FolderLock& operator=(FolderLock&&) = delete;
  ~FolderLock();

 private:
  explicit FolderLock(int file) : file_(file) {}
  int file_;
};

}  // namespace mp::launcher
