#pragma once
// A client of its own for the tests: plain sockets, RFC 6455 frames and HTTP/1.1 by hand, so that the server is
// not judged by the library it is made of.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

namespace mp::sim::test {

using Millis = std::chrono::milliseconds;

class Wire {
 public:
  Wire(std::uint16_t port, const std::string& trusted_certificate, int receive_buffer) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer > 0) ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    try {
      if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        throw std::runtime_error("connect: " + std::string(std::strerror(errno)));
      if (!trusted_certificate.empty()) handshake(trusted_certificate);
    } catch (...) {
      release();
      throw;
    }
  }
  ~Wire() { release(); }
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto n = ssl_ != nullptr ? SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()))
                                     : static_cast<int>(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL));
      if (n <= 0) throw std::runtime_error("write failed");
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
  }

  void shut() { ::shutdown(fd_, SHUT_RDWR); }

  // Appends what comes within the time; false at its end or when the peer has closed.
  bool read(std::string& into, Millis wait) {
    if (ssl_ == nullptr || SSL_pending(ssl_) == 0) {
      pollfd p{fd_, POLLIN, 0};
      if (::poll(&p, 1, static_cast<int>(wait.count())) <= 0) return false;
    }
    const auto old = into.size();
    into.resize(old + kChunk);
    const auto n = ssl_ != nullptr ? SSL_read(ssl_, into.data() + old, kChunk)
                                   : static_cast<int>(::recv(fd_, into.data() + old, kChunk, 0));
    into.resize(old + static_cast<std::size_t>(n > 0 ? n : 0));
    if (n <= 0) closed_ = true;
    return n > 0;
  }
  bool closed() const { return closed_; }

 private:
  static constexpr int kChunk = 256 * 1024;

  void release() {
    if (ssl_ != nullptr) SSL_free(ssl_);
    if (context_ != nullptr) SSL_CTX_free(context_);
    ::close(fd_);
  }

  void handshake(const std::string& trusted_certificate) {
    context_ = SSL_CTX_new(TLS_client_method());
    SSL_CTX_load_verify_locations(context_, trusted_certificate.c_str(), nullptr);
    SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, nullptr);
    ssl_ = SSL_new(context_);
    SSL_set_fd(ssl_, fd_);
    SSL_set1_host(ssl_, "localhost");
    if (SSL_connect(ssl_) != 1) throw std::runtime_error("TLS handshake failed");
  }

  int fd_ = -1;
  bool closed_ = false;
  SSL_CTX* context_ = nullptr;
  SSL* ssl_ = nullptr;
};

struct HttpReply {
  int status = 0;
  std::string head;
  std::string body;
  std::string header(const std::string& name) const {
    const auto at = head.find("\r\n" + name + ": ");
    if (at == head.npos) return "";
    const auto from = at + name.size() + 4;
    return head.substr(from, head.find("\r\n", from) - from);
  }
};

struct Frame {
  int opcode = 0;
  std::string payload;
  bool compressed = false;
  bool is_text() const { return opcode == 1; }
  bool is_close() const { return opcode == 8; }
  bool is_ping() const { return opcode == 9; }
  int close_code() const {
    return payload.size() < 2 ? 0
                              : static_cast<unsigned char>(payload[0]) * 256 + static_cast<unsigned char>(payload[1]);
  }
};

class RawClient {
 public:
  explicit RawClient(std::uint16_t port, const std::string& trusted_certificate = "", int receive_buffer = 0)
      : wire_(port, trusted_certificate, receive_buffer) {}
  ~RawClient() {
    if (inflating_) inflateEnd(&zlib_);
  }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  HttpReply get(const std::string& target, const std::string& more_headers = "") {
    wire_.write("GET " + target + " HTTP/1.1\r\nHost: localhost\r\n" + more_headers + "\r\n");
    return reply();
  }

  // The websocket handshake; the answer's status is 101 when it succeeded.
  HttpReply upgrade(const std::string& target, const std::string& more_headers = "") {
    return get(target,
               "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
                   more_headers);
  }

  void send(int opcode, std::string_view payload) {
    std::string frame(1, static_cast<char>(0x80 | opcode));
    if (payload.size() < 126) {
      frame.push_back(static_cast<char>(0x80 | payload.size()));
    } else {
      frame.push_back(static_cast<char>(0x80 | 126));
      frame.push_back(static_cast<char>(payload.size() >> 8));
      frame.push_back(static_cast<char>(payload.size() & 255));
    }
    const char mask[4] = {1, 2, 3, 4};
    frame.append(mask, 4);
    for (std::size_t i = 0; i < payload.size(); ++i) frame.push_back(static_cast<char>(payload[i] ^ mask[i % 4]));
    wire_.write(frame);
  }
  void text(std::string_view payload) { send(1, payload); }

  // The next frame; nothing when none came in time or the peer has closed.
  std::optional<Frame> frame(Millis wait = Millis{5000}) {
    const auto until = std::chrono::steady_clock::now() + wait;
    for (;;) {
      if (auto whole = parse()) return whole;
      const auto left = std::chrono::duration_cast<Millis>(until - std::chrono::steady_clock::now());
      if (left.count() <= 0 || wire_.closed() || !wire_.read(in_, left)) return std::nullopt;
    }
  }
  // The next text frame; pings are answered on the way.
  std::optional<std::string> message(Millis wait = Millis{5000}) {
    while (auto f = frame(wait)) {
      if (f->is_ping()) send(10, f->payload);
      if (f->is_text()) return f->compressed ? inflate(f->payload) : f->payload;
      if (f->is_close()) {
        close_code = f->close_code();
        return std::nullopt;
      }
    }
    return std::nullopt;
  }
  // True when the peer ends the connection within the time, whatever comes before.
  bool ends(Millis wait = Millis{10000}) {
    const auto until = std::chrono::steady_clock::now() + wait;
    while (std::chrono::steady_clock::now() < until && !wire_.closed()) {
      in_.clear();
      wire_.read(in_, Millis{100});
    }
    return wire_.closed();
  }
  bool closed() const { return wire_.closed(); }
  // Answers the close frame that came and ends the connection.
  void goodbye() {
    send(8, {"\x03\xe8", 2});
    wire_.shut();
  }

  int close_code = 0;  // of the close frame that message() met

 private:
  HttpReply reply() {
    std::size_t end = std::string::npos;
    while ((end = in_.find("\r\n\r\n")) == in_.npos)
      if (!wire_.read(in_, Millis{5000})) throw std::runtime_error("no HTTP answer: " + in_);
    HttpReply out;
    out.head = in_.substr(0, end + 2);
    out.status = std::stoi(in_.substr(9, 3));
    const auto length = out.header("Content-Length");
    const auto size = length.empty() ? 0 : std::stoul(length);
    while (in_.size() < end + 4 + size)
      if (!wire_.read(in_, Millis{5000})) throw std::runtime_error("HTTP answer cut off");
    out.body = in_.substr(end + 4, size);
    in_.erase(0, end + 4 + size);
    return out;
  }

  std::optional<Frame> parse() {
    const auto byte = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(in_[at_ + i])); };
    const auto have = in_.size() - at_;
    if (have < 2) return std::nullopt;
    std::size_t head = 2;
    std::size_t size = byte(1) & 127;
    if (size == 126) {
      if (have < 4) return std::nullopt;
      size = byte(2) << 8 | byte(3);
      head = 4;
    } else if (size == 127) {
      if (have < 10) return std::nullopt;
      size = 0;
      for (std::size_t i = 2; i < 10; ++i) size = size << 8 | byte(i);
      head = 10;
    }
    if (have < head + size) return std::nullopt;
    if ((byte(0) & 0x80) == 0) throw std::runtime_error("fragmented frame");
    if ((byte(1) & 0x80) != 0) throw std::runtime_error("masked frame from a server");
    Frame f;
    f.opcode = static_cast<int>(byte(0) & 15);
    f.compressed = (byte(0) & 0x40) != 0;
    f.payload = in_.substr(at_ + head, size);
    at_ += head + size;
    if (at_ > (1U << 20) || at_ == in_.size()) {
      in_.erase(0, at_);
      at_ = 0;
    }
    return f;
  }

  std::string inflate(std::string payload) {
    if (!inflating_) {
      inflateInit2(&zlib_, -15);
      inflating_ = true;
    }
    payload.append("\x00\x00\xff\xff", 4);
    std::string out(payload.size() * 20 + 4096, '\0');
    zlib_.next_in = reinterpret_cast<Bytef*>(payload.data());
    zlib_.avail_in = static_cast<uInt>(payload.size());
    zlib_.next_out = reinterpret_cast<Bytef*>(out.data());
    zlib_.avail_out = static_cast<uInt>(out.size());
    if (::inflate(&zlib_, Z_SYNC_FLUSH) != Z_OK) throw std::runtime_error("inflate failed");
    out.resize(out.size() - zlib_.avail_out);
    return out;
  }

  Wire wire_;
  std::string in_;
  std::size_t at_ = 0;
  z_stream zlib_{};
  bool inflating_ = false;
};

}  // namespace mp::sim::test
