#pragma once
// Which names JetStream takes for a stream, and what a server's address is. Pure.

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string_view>

namespace mp::nats {

// It is a token of subjects ($JS.API.STREAM.INFO.<name>) and the name of a folder.
constexpr std::string_view kStreamNameRule = "a name without white space and without . * > / \\";
inline bool is_stream_name(std::string_view name) {
  return !name.empty() && name.find_first_of(".*>/\\") == std::string_view::npos &&
         std::ranges::all_of(name, [](char c) { return c > ' ' && c != '\x7f'; });
}

// For messages: user and password may stand before the last @.
inline std::string_view without_login(std::string_view address) {
  const auto login = address.rfind('@');
  return login == std::string_view::npos ? address : address.substr(login + 1);
}

// What waiting would not mend. Whether anybody is there, connecting shows.
constexpr std::string_view kServerAddressRule = "an address like nats://127.0.0.1:4222 (or tls://…)";
inline bool is_server_address(std::string_view address) {
  if (const auto scheme = address.find("://"); scheme != std::string_view::npos) {
    if (address.substr(0, scheme) != "nats" && address.substr(0, scheme) != "tls") return false;
    address.remove_prefix(scheme + 3);
  }
  address = without_login(address);
  if (address.ends_with('/')) address.remove_suffix(1);
  const auto bracket = address.starts_with('[') ? address.find(']') : 0;
  if (bracket == std::string_view::npos) return false;
  const auto colon = address.find(':', bracket);
  const auto host = address.substr(0, colon);
  const bool is_host =
      !host.empty() && std::ranges::all_of(host, [](char c) { return c > ' ' && c != '\x7f' && c != '/' && c != ','; });
  if (!is_host || colon == std::string_view::npos) return is_host;
  const auto port = address.substr(colon + 1);
  std::uint16_t number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  return error == std::errc{} && end == port.data() + port.size() && number != 0;
}

}  // namespace mp::nats
