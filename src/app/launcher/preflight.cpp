#include "app/launcher/preflight.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

namespace mp::launcher {
namespace {

namespace fs = std::filesystem;

std::string from_environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool is_program(const std::string& path) { return ::access(path.c_str(), X_OK) == 0 && fs::is_regular_file(path); }

std::string on_path(const std::string& name) {
  // Debian keeps servers in sbin, which is not on every user's PATH.
  std::istringstream folders(from_environment("PATH") + ":/usr/sbin:/usr/local/sbin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (!folder.empty() && is_program(folder + "/" + name)) return folder + "/" + name;
  }
  return "";
}

Result<std::string> find_nats_server(const std::string& root) {
  if (const auto path = from_environment("MARKETPRISM_NATS_SERVER"); !path.empty()) {
    if (is_program(path)) return path;
    return Error{Errc::usage, "MARKETPRISM_NATS_SERVER", path + " is not a program"};
  }
  if (!root.empty() && is_program(root + "/.deps/nats-server/nats-server"))
    return root + "/.deps/nats-server/nats-server";
  if (auto path = on_path("nats-server"); !path.empty()) return path;
  return Error{Errc::unavailable, "nats-server",
               "not at " + (root.empty() ? "(no checkout)" : root) +
                   "/.deps/nats-server/nats-server nor on the PATH; run "
                   "tools/setup, install Debian's nats-server, or name one in MARKETPRISM_NATS_SERVER"};
}

Result<std::string> find_libchdb(const std::string& root) {
  if (const auto path = from_environment("MARKETPRISM_LIBCHDB"); !path.empty()) {
    if (fs::is_regular_file(path)) return path;
    return Error{Errc::usage, "MARKETPRISM_LIBCHDB", "no such file: " + path};
  }
  const std::string path = root + "/.deps/chdb/libchdb.so";
  if (!root.empty() && fs::is_regular_file(path)) return path;
  return Error{
      Errc::unavailable, "libchdb.so (the ClickHouse engine)",
      "not at " + (root.empty() ? "(no checkout)" : path) + "; run tools/setup, or name it in MARKETPRISM_LIBCHDB"};
}

// "nats-server: v2.15.1" -> 15
Result<int> nats_minor_version(const std::string& program) {
  std::array<char, 128> text{};
  const auto command = "'" + program + "' --version 2>&1";
  const std::unique_ptr<FILE, int (*)(FILE*)> output(::popen(command.c_str(), "r"), &::pclose);
  const bool read = output != nullptr && std::fgets(text.data(), text.size(), output.get()) != nullptr;
  const std::string line = read ? text.data() : "";
  const auto at = line.find("v2.");
  int minor = 0;
  if (at != std::string::npos) {
    const auto [end, error] = std::from_chars(line.data() + at + 3, line.data() + line.size(), minor);
    if (error == std::errc{} && minor >= 9) return minor;
  }
  return Error{Errc::refused, program, "version 2.9 or later is needed; `--version` said: " + line};
}

bool can_listen(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool bound =
      ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 && ::listen(fd, 1) == 0;
  ::close(fd);
  return bound;
}

// The inode of the socket that listens on this port, from /proc/net/tcp or tcp6.
std::string listening_inode(std::uint16_t port) {
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::ifstream lines(table);
    std::string line;
    std::getline(lines, line);
    while (std::getline(lines, line)) {
      std::istringstream fields(line);
      std::string number, local, remote, state, queues, timer, retransmits, user, timeout, inode;
      fields >> number >> local >> remote >> state >> queues >> timer >> retransmits >> user >> timeout >> inode;
      if (state == "0A" && local.ends_with(fmt::format(":{:04X}", port))) return inode;
    }
  }
  return "";
}

bool holds_socket(const fs::path& process, const std::string& target) {
  std::error_code ignored;
  for (auto it = fs::directory_iterator(process / "fd", ignored); it != fs::directory_iterator();
       it.increment(ignored)) {
    if (fs::read_symlink(it->path(), ignored) == target) return true;
  }
  return false;
}

std::string first_line(const fs::path& file) {
  std::string line;
  std::ifstream stream(file);
  std::getline(stream, line);
  return line;
}

}  // namespace

std::string install_root() {
  std::error_code error;
  fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  while (!error && folder.has_relative_path()) {
    if (fs::is_directory(folder / ".deps", error) ||
        fs::is_regular_file(folder / "services/data-storage-service/config/clickhouse_schema.sql", error)) {
      return folder;
    }
    error.clear();
    folder = folder.parent_path();
  }
  return "";
}

Result<Tools> find_tools() {
  const std::string root = install_root();
  Tools tools;
  std::error_code error;
  tools.self = fs::read_symlink("/proc/self/exe", error);
  auto nats = find_nats_server(root);
  if (!nats) return nats.error();
  tools.nats_server = *nats;
  auto minor = nats_minor_version(tools.nats_server);
  if (!minor) return minor.error();
  tools.nats_minor = *minor;
  auto libchdb = find_libchdb(root);
  if (!libchdb) return libchdb.error();
  tools.libchdb = *libchdb;
  return tools;
}

PortHolder holder_of(std::uint16_t port) {
  const auto inode = listening_inode(port);
  PortHolder holder;
  holder.is_taken = !inode.empty();
  std::error_code ignored;
  if (!holder.is_taken) return holder;
  for (auto it = fs::directory_iterator("/proc", ignored); it != fs::directory_iterator(); it.increment(ignored)) {
    const auto name = it->path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    if (!holds_socket(it->path(), "socket:[" + inode + "]")) continue;
    std::from_chars(name.data(), name.data() + name.size(), holder.pid);
    holder.program = first_line(it->path() / "comm");
    break;
  }
  return holder;
}

std::string who_listens_on(std::uint16_t port) {
  const auto holder = holder_of(port);
  return holder.pid == 0 ? "another process" : fmt::format("pid {} ({})", holder.pid, holder.program);
}

Result<void> check_ports(const std::vector<PortUse>& ports) {
  std::string taken;
  for (const auto& use : ports) {
    if (can_listen(use.port)) continue;
    taken += fmt::format("{}port {} ({}) is taken by {}; {} moves it", taken.empty() ? "" : "\n  ", use.port,
                         use.purpose, who_listens_on(use.port), use.option);
  }
  if (taken.empty()) return {};
  return Error{Errc::conflict, taken + "\n  (--port-offset N moves all ports, e.g. --port-offset 10000)", ""};
}

Result<void> check_folder(const std::string& path, std::uint64_t least_free_bytes) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return Error{Errc::io, "data folder " + path, error.message() + "; --data DIR takes another one"};
  const std::string probe = path + "/.writable";
  const int file = ::open(probe.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  const bool written = file >= 0 && ::write(file, "x", 1) == 1;
  const int write_error = errno;
  if (file >= 0) {
    ::close(file);
    ::unlink(probe.c_str());
  }
  if (!written) {
    return Error{Errc::io, "data folder " + path,
                 fmt::format("cannot be written ({}); --data DIR takes another one", std::strerror(write_error))};
  }
  const auto space = fs::space(path, error);
  if (!error && space.available < least_free_bytes) {
    return Error{
        Errc::io, "data folder " + path,
        fmt::format(
            "only {} MB are free there and {} MB are needed at least; make room, or --data DIR takes another disk",
            space.available >> 20, least_free_bytes >> 20)};
  }
  return {};
}

Result<void> make_folders_and_files(const Plan& plan) {
  for (const auto& folder : plan.folders) {
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) return Error{Errc::io, "folder " + folder, error.message()};
  }
  for (const auto& [path, content] : plan.files) {
    std::ofstream file(path, std::ios::trunc);
    file << content;
    file.close();
    if (!file) return Error{Errc::io, "file " + path, std::strerror(errno)};
  }
  return {};
}

Result<FolderLock> FolderLock::take(const std::string& folder) {
  const std::string path = folder + "/lock";
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) return Error{Errc::io, path, std::strerror(errno)};
  if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
    const auto holder = first_line(path);
    ::close(file);
    return Error{Errc::conflict, "data folder " + fs::path(folder).parent_path().string(),
                 fmt::format("in use by another `marketprism up` (pid {}); stop it, or --data DIR takes another folder",
                             holder)};
  }
  const auto pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(file, 0) != 0 || ::write(file, pid.data(), pid.size()) < 0) {
    const int write_error = errno;
    ::close(file);
    return Error{Errc::io, path, std::strerror(write_error)};
  }
  return FolderLock(file);
}

FolderLock::~FolderLock() {
  if (file_ >= 0) ::close(file_);
}

}  // namespace mp::launcher
