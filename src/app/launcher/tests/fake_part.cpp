// A stand-in for any part, for launcher_test: answers like NATS' monitoring, ClickHouse and our services at once, and
// writes down when it started and ended.
//   fake_part NAME PORT TRACE_FILE [die-once FILE | die | stubborn | usage | finish | unready | waiting | latch FILE |
//                                   report FILE TEXT | worry]
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>

#include "net/http_server.hpp"

namespace {

volatile std::sig_atomic_t told_to_end = 0;

void note(const std::string& file, const std::string& line) { std::ofstream(file, std::ios::app) << line << std::endl; }

// Habit "latch": what the file says is the matter, from the first look at which it is there until the process ends. The
// file itself is gone then, as a full disk that has room again.
std::string trouble(const std::string& file) {
  static std::mutex mutex;
  static std::string latched;
  const std::lock_guard lock(mutex);
  if (latched.empty() && std::getline(std::ifstream(file), latched)) std::filesystem::remove(file);
  return latched;
}

const char* answer_to(const std::string& path, const std::string& sql, const std::string& habit) {
  if (path == "/jsz" && habit == "waiting") {
    return R"({"account_details":[{"stream_detail":[{"name":"MARKET_DATA","created":"2026-11-23T04:00:00.5Z",)"
           R"("state":{"first_seq":1,"last_seq":7},"consumer_detail":[{"num_pending":3,"num_ack_pending":2}]}]}]})";
  }
  if (path == "/jsz") {
    return R"({"account_details":[{"stream_detail":[{"name":"MARKET_DATA","created":"2026-11-23T04:00:00.5Z",)"
           R"("state":{"first_seq":1,"last_seq":7},"consumer_detail":[{"num_pending":0,"num_ack_pending":0}]}]}]})";
  }
  if (sql.find("uniqExact(bus_stream, bus_sequence, bus_index)") != sql.npos) return "trades\t7\t7\n";
  if (sql.find(".gaps") != sql.npos) return "";
  if (!sql.empty()) return "0\n";
  return R"({"status":"healthy","problem":"","drained":true,"events":7,"rows":7})";
}

}  // namespace

int main(int argc, char** argv) {
  const std::string name = argv[1];
  const std::string port = argv[2];
  const std::string trace = argv[3];
  const std::string habit = argc > 4 ? argv[4] : "";
  using namespace std::chrono_literals;
  const bool first = habit == "die-once" && !std::filesystem::exists(argv[5]);
  if (first) std::ofstream(argv[5]) << 1;
  note(trace, "start " + name);
  std::printf("this is %s\n", name.c_str());
  std::fflush(stdout);
  if (habit == "usage") return 2;
  if (habit == "die") return 1;
  std::signal(SIGTERM, [](int) { told_to_end = 1; });
  const std::string file = argc > 5 ? argv[5] : "";
  auto server = mp::net::HttpServer::start({.listen = "127.0.0.1:" + port}, [&](auto& request, auto& response) {
    const auto body = request.body->read_all(1 << 20);
    const auto matter = habit == "latch" && request.path == "/health" ? trouble(file) : "";
    const bool is_well = matter.empty() && !(habit == "unready" && request.path == "/health");
    response.send(is_well ? 200 : 503, "text/plain",
                  is_well ? answer_to(request.path, body ? *body : "", habit)
                          : R"({"status":"unavailable","error":")" + matter + R"("})");
  });
  if (!server) {
    std::fprintf(stderr, "%s\n", server.error().text().c_str());
    return 1;
  }
  const auto begun = std::chrono::steady_clock::now();
  while (told_to_end == 0 || habit == "stubborn") {
    std::this_thread::sleep_for(10ms);
    if (habit == "worry") {
      std::puts("2026-11-23T04:00:00.000Z WARN nats: a worry\n2026-11-23T04:00:00.000Z ERROR nats: a loss");
      std::fflush(stdout);
    }
    if (first && std::chrono::steady_clock::now() - begun > 700ms) std::raise(SIGKILL);
    if (habit == "finish" && std::chrono::steady_clock::now() - begun > 700ms) return 0;
  }
  if (habit == "report") std::ofstream(file) << argv[6];
  note(trace, "stop " + name);
  return 0;
}
