#include "tests/support/ports.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <random>
#include <stdexcept>

namespace mp::test {
namespace {

bool is_free(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  const void* raw = &address;
  const bool bound = ::bind(fd, static_cast<const sockaddr*>(raw), sizeof address) == 0;
  ::close(fd);
  return bound;
}

// The lowest port that the system gives to those who ask for any.
std::uint16_t first_given() {
  std::uint16_t first = 32'768;
  std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> first;
  return first;
}

}  // namespace

std::uint16_t free_port() {
  constexpr std::uint16_t kLowest = 10'000;
  const auto end = first_given();
  if (end <= kLowest) throw std::runtime_error("no ports below those that the system gives away");
  std::random_device random;
  std::uniform_int_distribution<std::uint16_t> any(kLowest, static_cast<std::uint16_t>(end - 1));
  for (int tries = 0; tries < 1000; ++tries)
    if (const auto port = any(random); is_free(port)) return port;
  throw std::runtime_error("no free port");
}

}  // namespace mp::test
