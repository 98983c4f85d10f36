#include "telemetry/endpoints.hpp"

#include <utility>

#include "net/http_server.hpp"

namespace mp::telemetry {
namespace {

using Page = std::function<void(net::HttpServerResponse&)>;

// One page at `path`; everything else is told where to look.
net::HttpHandler only(std::string path, Page page) {
  return [path = std::move(path), page = std::move(page)](net::HttpServerRequest& request,
                                                          net::HttpServerResponse& response) {
    if (request.path != path) {
      response.send(404, "text/plain; charset=utf-8", "not here; GET " + path + "\n");
    } else if (request.method != "GET" && request.method != "HEAD") {
      response.set_header("Allow", "GET, HEAD");
      response.send(405, "text/plain; charset=utf-8", "GET only\n");
    } else {
      page(response);
    }
  };
}

class Listeners final : public Endpoints {
 public:
  ~Listeners() override { stop(); }

  Result<void> listen(const EndpointOptions& options, Metrics& metrics, std::function<HealthReport()> health) {
    auto show_health = only("/health", [health = std::move(health)](net::HttpServerResponse& response) {
      const HealthReport report = health();
      response.send(report.healthy ? 200 : 503, "application/json", report.json + "\n");
    });
    auto show_metrics = only("/metrics", [&metrics](net::HttpServerResponse& response) {
      response.send(200, "text/plain; version=0.0.4; charset=utf-8", metrics.text());
    });
    if (auto ok = open(health_, options.health_listen, options.health_option, std::move(show_health)); !ok) return ok;
    return open(metrics_, options.metrics_listen, options.metrics_option, std::move(show_metrics));
  }

  std::string health_address() const override { return health_ ? health_->address() : ""; }
  std::string metrics_address() const override { return metrics_ ? metrics_->address() : ""; }

  void stop() override {
    health_.reset();
    metrics_.reset();
  }

 private:
  static Result<void> open(std::unique_ptr<net::HttpServer>& server, const std::string& listen,
                           const std::string& option, net::HttpHandler handler) {
    if (listen.empty()) return {};
    auto started = net::HttpServer::start({.listen = listen, .listen_option = option}, std::move(handler));
    if (!started) return started.error();
    server = std::move(*started);
    return {};
  }

  std::unique_ptr<net::HttpServer> health_;
  std::unique_ptr<net::HttpServer> metrics_;
};

}  // namespace

Result<std::unique_ptr<Endpoints>> Endpoints::start(const EndpointOptions& options, Metrics& metrics,
                                                    std::function<HealthReport()> health) {
  auto listeners = std::make_unique<Listeners>();
  if (auto ok = listeners->listen(options, metrics, std::move(health)); !ok) return ok.error();
  return std::unique_ptr<Endpoints>(std::move(listeners));
}

}  // namespace mp::telemetry
