#pragma once
// Carries out what one Source's session asks for: keeps its sockets up, sends its frames, makes its REST requests
// within the budget, calls it back at the times it named. Everything that arrives becomes a record.
//
// Runs on: the collector's loop thread. Outlives: nothing; the loop, the AsyncHttp and the callbacks outlive it.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/raw_record.hpp"
#include "feed/rest_budget.hpp"
#include "feed/session.hpp"
#include "net/http_client.hpp"
#include "net/loop.hpp"
#include "net/websocket.hpp"

namespace mp::collector {

struct DriverOptions {
  std::string ca_file{};
  bool compression = true;  // offer permessage-deflate
  std::string proxy{};      // as net::proxy_for() takes it
  std::size_t max_requests_waiting = 4096;
  // Few, so that what matters more does not stand behind what matters less.
  std::size_t max_requests_under_way = 4;
};

struct DriverCounters {
  std::uint64_t connects = 0;
  std::uint64_t disconnects = 0;
  std::uint64_t requests = 0;
  std::uint64_t requests_failed = 0;
  std::uint64_t requests_refused = 0;  // HTTP 4xx and 5xx
};

class SocketDriver {
 public:
  struct Callbacks {
    // The record's views are valid during the call only.
    std::function<void(const RawRecord&)> record;
    std::function<void(Instant)> tick;
    std::function<ConnectionId()> next_connection;
  };

  SocketDriver(Source source, DriverOptions options, net::Loop& loop, net::AsyncHttp& http, RestBudgets& budgets,
               Callbacks callbacks);
  ~SocketDriver();
  SocketDriver(const SocketDriver&) = delete;
  SocketDriver& operator=(const SocketDriver&) = delete;

  const Source& source() const { return source_; }

  // Takes over what the outbox asks for (not its events).
  void carry_out(Outbox& wishes);
  // A good data message came over this connection: its back-off begins anew.
  void data_arrived(ConnectionId connection);
  // Closes all sockets for good; `done` is called when each has ended.
  void stop(std::function<void()> done);
  bool is_connected() const;
  const DriverCounters& counters() const { return counters_; }

 private:
  struct Socket;

  void open(OpenSocket wish);
  void connect(Socket& socket);
  void socket_opened(Socket& socket);
  void socket_closed(Socket& socket, CloseReason reason, const std::string& detail);
  Socket* find(ConnectionId connection);
  void send_waiting_requests();
  bool start_request(const RestRequest& request);
  void answered(const RestRequest& request, Result<net::HttpResponse> answer, Instant received_at);
  void record(RecordKind kind, ConnectionId connection, Instant at, std::string_view url, std::string_view payload,
              int status = 0);
  void check_stopped();

  const Source source_;
  const DriverOptions options_;
  net::Loop& loop_;
  net::AsyncHttp& http_;
  RestBudgets& budgets_;
  Callbacks callbacks_;
  std::map<std::uint32_t, std::unique_ptr<Socket>> sockets_;  // by slot
  RestQueue waiting_;
  std::size_t under_way_ = 0;
  net::Timer wake_timer_;
  net::Timer request_timer_;
  DriverCounters counters_;
  std::function<void()> stopped_;
  // Answers come from worker threads and are posted home; those that arrive after our end are dropped.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace mp::collector
