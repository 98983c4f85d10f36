#include "app/operate/doctor.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <set>
#include <thread>

#include "app/launcher/preflight.hpp"
#include "app/operate/export.hpp"
#include "app/operate/status_view.hpp"
#include "base/text.hpp"
#include "base/version.hpp"
#include "config/files.hpp"
#include "exchanges/exchange.hpp"
#include "nats/connection.hpp"
#include "nats/jetstream.hpp"
#include "net/clock.hpp"
#include "net/http_client.hpp"
#include "net/proxy.hpp"
#include "net/url.hpp"
#include "sinks/clickhouse/sink.hpp"

namespace mp::operate {
namespace {

namespace fs = std::filesystem;
using launcher::shell_quoted;
using std::chrono::milliseconds;

constexpr double kStreamFull = 0.9;
constexpr double kStuckSeconds = 60;
constexpr double kLocalClocks = 1;  // seconds
constexpr std::uint64_t kSameRoom = 64u << 20;
constexpr int kAuthenticationFailed = 516, kUnknownUser = 192, kWrongPassword = 193, kRequiredPassword = 194;

std::string self() {
  std::error_code error;
  const auto path = fs::read_symlink("/proc/self/exe", error);
  return error ? "marketprism" : path.string();
}

bool is_local(const std::string& host) {
  return host == "localhost" || host.starts_with("127.") || host == "::1" || host == "0.0.0.0";
}

struct Place {
  std::string host;
  std::uint16_t port = 0;
};
// Of "nats://…", "http://…" or host:port.
Place place_of(std::string text) {
  Place place;
  if (const auto scheme = text.find("://"); scheme != std::string::npos) text.erase(0, scheme + 3);
  if (const auto at = text.rfind('@'); at != std::string::npos) text.erase(0, at + 1);
  text = text.substr(0, text.find('/'));
  const auto colon = text.rfind(':');
  place.host = text.substr(0, colon);
  if (colon != std::string::npos) std::from_chars(text.data() + colon + 1, text.data() + text.size(), place.port);
  return place;
}

// "2.15.1" -> 15, "26.7.2.1" -> 7
std::pair<int, int> version_numbers(const std::string& text) {
  int major = 0, minor = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), major);
  if (error == std::errc{} && end < text.data() + text.size())
    std::from_chars(end + 1, text.data() + text.size(), minor);
  return {major, minor};
}

class Examination {
 public:
  explicit Examination(const DoctorOptions& options) : o_(options), t_(options.target) {}

  Diagnosis run() {
    ask_venues();
    seen_ = look(t_, o_.patience);
    examine_nats();
    examine_clickhouse();
    examine_services();
    examine_venues();
    examine_streams();
    examine_clock();
    examine_disks();
    examine_versions();
    std::stable_sort(diagnosis_.findings.begin(), diagnosis_.findings.end(),
                     [](const auto& a, const auto& b) { return a.severity > b.severity; });
    diagnosis_.at = o_.machine.now().wall;
    return std::move(diagnosis_);
  }

 private:
  void found(Finding finding) { diagnosis_.findings.push_back(std::move(finding)); }
  std::size_t count() const { return diagnosis_.findings.size(); }
  // Fine when nothing was found since `before`.
  void checked(const char* name, std::size_t before, std::string detail) {
    diagnosis_.checks.push_back(
        {name, count() == before ? Check::Result::fine : Check::Result::found, std::move(detail)});
  }
  void skipped(const char* name, std::string why) {
    diagnosis_.checks.push_back({name, Check::Result::skipped, std::move(why)});
  }

  // ---- how parts are started ----

  std::optional<int> launcher_pid() const {
    if (!t_.is_up) return std::nullopt;
    std::ifstream lock(t_.data + "/run/lock");
    int pid = 0;
    if (!(lock >> pid) || ::kill(pid, 0) != 0) return std::nullopt;
    std::ifstream comm(fmt::format("/proc/{}/comm", pid));
    std::string name;
    std::getline(comm, name);
    if (name != fs::path(self()).filename().string().substr(0, 15)) return std::nullopt;
    return pid;
  }

  // Starts `marketprism up` as it was started, with the variables that were set for it, and `more` after them.
  std::string up_command(const std::string& more = "") const {
    std::string environment;
    for (const auto& [name, value] : t_.variables) environment += fmt::format("{}={} ", name, shell_quoted(value));
    environment += more;
    if (t_.command.empty())
      return environment + fmt::format("{} up --data {}", shell_quoted(self()), shell_quoted(t_.data));
    std::error_code error;
    const bool is_here = t_.command_directory.empty() || fs::current_path(error) == t_.command_directory;
    return (is_here ? "" : "cd " + shell_quoted(t_.command_directory) + " && ") + environment + t_.command;
  }
  // What the command cannot bring.
  std::string secrets_of_up() const {
    if (t_.secret_variables.empty()) return "";
    return fmt::format("; set {} before, as for its last start", t_.secret_variables);
  }

  // The file that storage is likely to have been started with: the one that was named, else the guide's.
  std::string storage_file() const {
    if (!t_.storage_config.empty()) return t_.storage_config;
    std::error_code error;
    const auto shipped =
        launcher::install_root() + "/services/data-storage-service/config/unified_storage_service.yaml";
    return fs::is_regular_file(shipped, error) ? shipped : "";
  }

  Result<storage::StorageOptions> storage_as_read(const std::vector<config::Flag>& flags) const {
    std::vector<std::string> files;
    if (const auto file = storage_file(); !file.empty()) files.push_back(file);
    auto root = storage::load_configuration(files, config::process_environment(), flags);
    if (!root) return root.error();
    config::Config config{std::move(*root), config::process_environment(), flags};
    auto options = storage::read_options(config);
    if (auto finished = config.finish(); !finished) return finished.error();
    return options;
  }

  // With options for what the file and the environment do not say: what was looked at and what is started are the same.
  std::string storage_command(const std::string& environment = "", std::optional<DataSource> other = {}) const {
    std::string command = environment + shell_quoted(self()) + " storage";
    if (const auto file = storage_file(); !file.empty()) command += " --config " + shell_quoted(file);
    const auto read = storage_as_read({});
    if (!read) return command;
    const auto add = [&](const char* option, const std::string& have, const std::string& want) {
      if (have != want) command += fmt::format(" {} {}", option, shell_quoted(want));
    };
    add("--nats", fmt::format("{}", fmt::join(read->nats.urls, ",")),
        fmt::format("{}", fmt::join(t_.storage.nats.urls, ",")));
    add("--stream", read->stream.name, t_.storage.stream.name);
    add("--clickhouse", read->clickhouse.url, t_.storage.clickhouse.url);
    if (other)
      command += fmt::format(" --data-source {} --database {}", to_string(*other), storage::usual_database(*other));
    else
      add("--database", read->database, t_.storage.database);
    add("--health", read->health_listen, t_.storage.health_listen);
    add("--metrics", read->metrics_listen, t_.storage.metrics_listen);
    return command;
  }

  std::string collector_command() const {
    std::string command = shell_quoted(self()) + " collector --config " + shell_quoted(t_.collector_config);
    auto root = config::load_files({t_.collector_config});
    if (!root) return command;
    config::Config config{std::move(*root)};
    const auto read = collector::read_settings(config);
    if (!read) return command;
    const auto add = [&](const char* option, const std::string& have, const std::string& want) {
      if (have != want) command += fmt::format(" {} {}", option, shell_quoted(want));
    };
    add("--nats", read->options.bus.url, t_.collector.bus.url);
    add("--health", read->options.health_listen, t_.collector.health_listen);
    add("--metrics", read->options.metrics_listen, t_.collector.metrics_listen);
    return command;
  }

  // Where the data of a part lies that was started by hand. Nothing when it is not to be seen from here: started with
  // another folder it would be empty, and look as if all data were gone.
  std::optional<std::string> store_of(const std::string& part) const {
    const auto data = t_.data.empty() ? std::string("data") : t_.data;
    std::error_code error;
    if (part == "clickhouse") {
      const auto folder = data + "/clickhouse";
      return fs::is_directory(folder + "/store", error) ? std::optional(folder) : std::nullopt;
    }
    std::vector<std::string> there;
    for (const auto& folder : {data + "/nats", data + "/nats/" + to_string(t_.storage.data_source)})
      if (fs::is_directory(folder + "/jetstream", error)) there.push_back(folder);
    return there.size() == 1 ? std::optional(there.front()) : std::nullopt;
  }

  // Storage (with `up`: everything) is started again with these variables; what runs has to end first.
  std::vector<std::string> start_anew(const std::string& environment) const {
    int pid = launcher_pid().value_or(0);
    if (!t_.is_up && seen_.storage.state.answers) {
      const auto place = place_of(t_.storage_health_url());
      if (is_local(place.host)) pid = launcher::holder_of(place.port).pid;
    }
    std::vector<std::string> commands;
    if (pid != 0) commands.push_back(fmt::format("kill {0}; tail --pid={0} -f /dev/null", pid));
    commands.push_back(t_.is_up ? up_command(environment) : storage_command(environment));
    return commands;
  }

  // How a part that was started by hand is started again.
  void start_again(const std::string& part, Finding& finding) const {
    const std::string containers =
        "in containers: `docker ps -a` and `docker logs` of its container say why it does not run";
    const auto by = [&](const std::string& what, const std::string& command) {
      finding.cure = fmt::format("{}; or all parts by `marketprism up`; {}", what, containers);
      if (!command.empty()) finding.commands = {command};
    };
    if (part == "storage") {
      const auto file = storage_file();
      if (file.empty())
        return by(
            "start it as it was started: `marketprism storage --config` with its own file (--storage-config tells me which)",
            "");
      return by(
          t_.storage_config.empty()
              ? fmt::format("start it again, by the command if it was started with {}, else with its own file", file)
              : std::string("start it by the command"),
          storage_command());
    }
    if (part == "collector") {
      if (t_.collector_config.empty())
        return by(
            "start it as it was started: `marketprism collector --config` with its own file (--collector-config tells me which)",
            "");
      return by(fmt::format("start it again, by the command if it was started with {}, else with its own file",
                            t_.collector_config),
                collector_command());
    }
    const auto store = store_of(part);
    const auto data = t_.data.empty() ? std::string("data") : t_.data;
    if (part == "clickhouse") {
      if (!store)
        return by(
            fmt::format(
                "start it as it was started: the server, or `marketprism clickhouse --data` with the folder that has its data (there is none in "
                "{}/clickhouse: with another folder its tables are not there)",
                data),
            "");
      return by(fmt::format("start it by the command; its data is in {}", *store),
                fmt::format("{} clickhouse --data {} --http 127.0.0.1:{}", shell_quoted(self()), shell_quoted(*store),
                            place_of(t_.storage.clickhouse.url).port));
    }
    if (!store)
      return by(
          fmt::format(
              "start it as it was started: nats-server with JetStream and the store folder it had (-sd, or store_dir of its configuration; {}): "
              "with another one the stream is not there, and begins anew",
              fs::is_directory(data + "/nats") ? "several below " + data + "/nats could be it"
                                               : "there is none below " + data + "/nats"),
          "");
    const auto tools = launcher::find_tools();
    by(fmt::format("start it by the command; its stream is in {}", *store),
       fmt::format("{} -js -a 127.0.0.1 -p {} -m {} -sd {}", shell_quoted(tools ? tools->nats_server : "nats-server"),
                   place_of(t_.storage.nats.urls.front()).port, place_of(t_.nats_http).port, shell_quoted(*store)));
  }

  // A part is not there.
  void part_is_down(const std::string& part, const std::string& address, const std::string& seen) {
    const auto place = place_of(address);
    Finding finding{part + "_down", Severity::error, fmt::format("{} {}", part, seen), "", {}};
    const auto holder = is_local(place.host) ? launcher::holder_of(place.port) : launcher::PortHolder{};
    if (holder.is_taken) {
      finding.id = "port_taken";
      finding.what = fmt::format(
          "port {} ({}) is held by {}, which does not answer as {}: {}", place.port, part,
          holder.pid == 0 ? "another user's process" : fmt::format("pid {} ({})", holder.pid, holder.program), part,
          seen);
      finding.cure = fmt::format(
          "stop that program, or give {} another port (`marketprism up` has an option for each, its message names it)",
          part);
      if (holder.pid != 0) finding.commands = {fmt::format("kill {}", holder.pid)};
    } else if (const auto pid = launcher_pid()) {
      finding.cure =
          fmt::format("`marketprism up` (pid {}) runs and starts it again by itself; its log says why it ended", *pid);
      finding.commands = {fmt::format("tail -n 30 {}", shell_quoted(t_.data + "/logs/" + part + ".log"))};
    } else if (t_.is_up) {
      finding.cure = "`marketprism up` does not run: start it again" + secrets_of_up();
      finding.commands = {up_command()};
    } else if (!is_local(place.host)) {
      finding.cure = fmt::format("is it running on {}, and does the way there (name, firewall) work?", place.host);
      finding.commands = {fmt::format("curl -v {}", shell_quoted(address))};
    } else {
      start_again(part, finding);
    }
    found(std::move(finding));
  }

  // ---- NATS ----

  void examine_nats() {
    const auto before = count();
    const auto address = t_.storage.nats.urls.front();
    nats::ConnectionOptions to = t_.storage.nats;
    to.name = "marketprism doctor";
    to.connect_timeout = o_.patience;
    auto opened = nats::Connection::open(to);
    if (!opened && opened.error().code == Errc::refused) {
      found(
          {"nats_refused",
           Severity::error,
           "NATS refuses the connection: " + opened.error().text(),
           "give the user and password, token or credentials file that the server was started with (NATS_USER and NATS_PASSWORD, or "
           "nats.* of the configuration)",
           {}});
      return checked("NATS", before, "");
    }
    const auto connected = opened ? (*opened)->wait_connected(o_.patience) : Result<void>(opened.error());
    if (!connected) {
      part_is_down("nats", address,
                   fmt::format("does not answer at {}: {}", net::url_without_secrets(address),
                               shortened(connected.error().seen, 160)));
      skipped("JetStream", "NATS does not answer");
      return checked("NATS", before, "");
    }
    nats_version_ = (*opened)->server_version();
    if (!seen_.nats.state.answers)
      found({"nats_monitoring_down",
             Severity::warning,
             fmt::format("NATS answers, its monitoring does not: {}", seen_.nats.state.trouble),
             "start nats-server with `http: \"127.0.0.1:8222\"` (or -m 8222), or name its address by --nats-http",
             {}});
    else if (!seen_.nats.state.is_well())
      found({"nats_unwell",
             Severity::error,
             "NATS " + seen_.nats.state.trouble,
             "its log says more; after a full disk it stays so until it is started again",
             {}});
    checked("NATS", before, fmt::format("{} at {}", nats_version_, net::url_without_secrets(address)));
    examine_jetstream(**opened);
  }

  void examine_jetstream(nats::Connection& connection) {
    const auto before = count();
    nats::JetStream jetstream(connection, o_.patience);
    const auto& name = t_.storage.stream.name;
    const auto stream = jetstream.stream_info(name);
    if (!stream && nats::server_code(stream.error()) != nats::kStreamNotFound) {
      found({"jetstream_off",
             Severity::error,
             "JetStream does not answer: " + stream.error().text(),
             "start nats-server with a jetstream block in its configuration, or -js",
             {}});
      return checked("JetStream", before, "");
    }
    const auto& n = seen_.nats;
    if (n.has_jetstream && n.store_max_bytes > 0 &&
        static_cast<double>(n.store_bytes) > kStreamFull * static_cast<double>(n.store_max_bytes))
      found({"jetstream_full",
             Severity::error,
             fmt::format("JetStream's store holds {} of the {} that its server allows", bytes_text(n.store_bytes),
                         bytes_text(n.store_max_bytes)),
             "raise max_file_store of the server's jetstream block, or remove streams that are not needed",
             {}});
    if (const auto holders = stream ? Result<std::vector<std::string>>(std::vector<std::string>{})
                                    : jetstream.streams_on(t_.storage.stream.subjects);
        holders && !holders->empty()) {
      found(
          {"subjects_taken",
           Severity::error,
           fmt::format("there is no stream {}, and stream {} holds its subjects: it cannot be made", name,
                       fmt::join(*holders, ", ")),
           fmt::format(
               "a subject can be in one stream only: set nats.stream (NATS_STREAM, --stream) to {} for collector and storage, or remove that stream "
               "when all of it is stored",
               holders->front()),
           {}});
      return checked("JetStream", before, "");
    }
    if (!stream) {
      found({"stream_missing",
             Severity::note,
             fmt::format("there is no stream {} yet", name),
             "collector and storage make it when they start",
             {}});
      return checked("JetStream", before, "");
    }
    judge_fill(*stream);
    judge_stream_settings(jetstream, *stream);
    checked(
        "JetStream", before,
        fmt::format("{}: {} messages, {}{}", name, stream->messages, bytes_text(stream->bytes),
                    stream->max_bytes > 0 ? " of " + bytes_text(static_cast<std::uint64_t>(stream->max_bytes)) : ""));
  }

  void judge_fill(const nats::StreamInfo& stream) {
    if (stream.max_bytes <= 0 ||
        static_cast<double>(stream.bytes) < kStreamFull * static_cast<double>(stream.max_bytes))
      return;
    const auto what =
        fmt::format("stream {} holds {} of its bound of {}: it takes no more, {}", stream.name,
                    bytes_text(stream.bytes), bytes_text(static_cast<std::uint64_t>(stream.max_bytes)),
                    seen_.collector.journal_failing ? "and the journal cannot be written either: data is lost now"
                                                    : "the journal keeps what comes");
    if (!seen_.storage.state.is_well()) {
      const auto pid = launcher_pid();
      return found(
          {"jetstream_full", Severity::error, what,
           "storage takes out what it has stored, and it does not work: mend that first (its finding is here too)",
           pid || t_.is_up ? std::vector<std::string>{} : std::vector<std::string>{storage_command()}});
    }
    const auto more = bytes_text(static_cast<std::uint64_t>(stream.max_bytes) * 2);
    const auto environment =
        fmt::format("MARKETPRISM_NATS_MAX_BYTES={} MARKETPRISM_NATS_CHANGE_STREAM=true ", stream.max_bytes * 2);
    found(
        {"jetstream_full", Severity::error, what,
         fmt::format(
             "storage works and does not keep up, or trimming is off (trim.enabled): raise the bound (nats.max_bytes) to {} and "
             "let storage change the stream (nats.change_stream), by starting it so{}",
             more, t_.is_up ? secrets_of_up() : ""),
         start_anew(environment)});
  }

  void judge_stream_settings(nats::JetStream& jetstream, const nats::StreamInfo& stream) {
    // What the storage service that runs was told; its configuration only where it does not say.
    auto wanted = t_.storage.stream;
    const auto& s = seen_.storage;
    if (s.nats_max_bytes && s.stream == wanted.name) wanted.max_bytes = *s.nats_max_bytes;
    if (wanted.max_bytes != t_.storage.stream.max_bytes && !t_.storage_config.empty())
      found(
          {"restart_needed", Severity::note,
           fmt::format("storage runs with nats.max_bytes {}, {} and its variables say {}", wanted.max_bytes,
                       t_.storage_config, t_.storage.stream.max_bytes),
           "if that was changed since, start it again, letting it change the stream; if a variable was set for it alone, all is as it "
           "should be" +
               (t_.is_up ? secrets_of_up() : ""),
           start_anew("MARKETPRISM_NATS_CHANGE_STREAM=true ")});
    const auto compared = jetstream.ensure_stream(wanted);
    if (!compared || compared->differences.empty()) return;
    std::string differences;
    for (const auto& difference : compared->differences)
      differences += (differences.empty() ? "" : "; ") + difference.text();
    const std::string environment = "MARKETPRISM_NATS_CHANGE_STREAM=true ";
    found(
        {"stream_differs", Severity::warning,
         fmt::format("the settings of stream {} are not ours: {}", stream.name, differences),
         "let storage bring it to our settings, by starting it so; where the server refuses a change (storage, retention), the stream "
         "must be made anew when all is stored" +
             (t_.is_up ? secrets_of_up() : ""),
         start_anew(environment)});
  }

  // ---- ClickHouse ----

  void examine_clickhouse() {
    const auto before = count();
    const auto& c = seen_.clickhouse;
    const auto& url = t_.storage.clickhouse.url;
    if (!c.state.answers) {
      part_is_down("clickhouse", url, c.state.trouble);
      skipped("schema", "ClickHouse does not answer");
      return checked("ClickHouse", before, "");
    }
    if (!c.state.is_well()) {
      const bool is_password = c.code == kAuthenticationFailed || c.code == kUnknownUser || c.code == kWrongPassword ||
                               c.code == kRequiredPassword;
      const auto user = t_.storage.clickhouse.user.empty() ? std::string("default") : t_.storage.clickhouse.user;
      found(
          {is_password ? "clickhouse_password" : "clickhouse_unwell",
           Severity::error,
           fmt::format("ClickHouse at {} {}", net::url_without_secrets(url), c.state.trouble),
           is_password
               ? fmt::format(
                     "the password of user {} is not the one that the server has (for marketprism clickhouse: CLICKHOUSE_USER "
                     "and CLICKHOUSE_PASSWORD of its start): set these two, for storage and for this command alike",
                     user)
               : "ClickHouse's log says more",
           {}});
      skipped("schema", "ClickHouse refuses us");
      return checked("ClickHouse", before, "");
    }
    auto to = t_.storage.clickhouse;
    to.connect_timeout = to.query_timeout = o_.patience * 3;
    clickhouse::Client client(to);
    if (const auto size = version_numbers(c.version); size < std::pair{23, 8})
      found({"version_old",
             Severity::error,
             "ClickHouse " + c.version + " is too old",
             "23.8 or later is needed: upgrade it",
             {}});
    judge_parts(client);
    checked("ClickHouse", before, fmt::format("{} at {}", c.version, net::url_without_secrets(url)));
    examine_schema(client);
  }

  void judge_parts(clickhouse::Client& client) {
    const auto limit = client.rows(
        {"SELECT value FROM system.merge_tree_settings WHERE name = 'parts_to_delay_insert' FORMAT TabSeparated"});
    const auto most = limit && !limit->empty() ? std::strtoull(limit->front().at(0).c_str(), nullptr, 10) : 1000ULL;
    const auto rows = client.rows({fmt::format(
        "SELECT table, partition, count() FROM system.parts WHERE active AND database = {} GROUP BY table, "
        "partition HAVING count() * 2 > {} ORDER BY count() DESC LIMIT 5 FORMAT TabSeparated",
        clickhouse::sql_text(t_.storage.database), most)});
    if (!rows) return;
    for (const auto& row : *rows)
      found(
          {"too_many_parts",
           Severity::warning,
           fmt::format("{}.{} has {} parts in partition {}; at {} ClickHouse slows inserts down", t_.storage.database,
                       row.at(0), row.at(2), row.at(1), most),
           "merges are behind: fewer and larger inserts (batches.min_interval of storage, e.g. 5s), or a faster disk; the command merges "
           "once",
           {query_command(fmt::format("OPTIMIZE TABLE {}.{}", t_.storage.database, row.at(0)))}});
  }

  std::string query_command(const std::string& sql) const {
    std::string command = shell_quoted(self()) + " query --url " +
                          shell_quoted(net::url_without_secrets(t_.storage.clickhouse.url)) + " --database default ";
    if (!t_.storage.clickhouse.user.empty()) command += "--user " + shell_quoted(t_.storage.clickhouse.user) + " ";
    return command + shell_quoted(sql);
  }

  Result<std::vector<std::string>> schema_statements() const {
    std::string text(storage::built_in_schema());
    if (!t_.storage.schema_file.empty()) {
      std::ifstream in(t_.storage.schema_file);
      if (!in) return Error{Errc::usage, "storage.schema_file", "cannot read " + t_.storage.schema_file};
      text.assign(std::istreambuf_iterator<char>(in), {});
    }
    return sinks::clickhouse::schema_statements(text, {t_.storage.database, t_.storage.cold_database, ttl_days()});
  }
  // That of the storage service that runs, else of its configuration.
  std::optional<int> ttl_days() const {
    if (seen_.storage.hot_ttl_days && seen_.storage.database == t_.storage.database)
      return *seen_.storage.hot_ttl_days > 0 ? seen_.storage.hot_ttl_days : std::nullopt;
    if (!t_.storage.hot_ttl) return std::nullopt;
    return static_cast<int>(std::chrono::duration_cast<std::chrono::days>(*t_.storage.hot_ttl).count());
  }

  // What makes the tables that are wanted and not there.
  static std::vector<std::string> statements_of_missing(const std::vector<std::string>& statements,
                                                        const std::vector<sinks::clickhouse::SchemaTable>& wanted,
                                                        const std::vector<sinks::clickhouse::SchemaTable>& have) {
    std::vector<std::string> out;
    auto table = wanted.begin();  // one for each statement that makes a table, in their order
    for (const auto& sql : statements) {
      if (!sql.starts_with("CREATE TABLE") || table == wanted.end()) continue;
      const bool is_there = std::ranges::any_of(
          have, [&](const auto& each) { return each.database == table->database && each.name == table->name; });
      if (!is_there) out.push_back(sql);
      ++table;
    }
    return out;
  }

  void examine_schema(clickhouse::Client& client) {
    const auto before = count();
    if (!seen_.clickhouse.has_database) {
      found({"database_missing",
             Severity::note,
             fmt::format("there is no database {} yet", t_.storage.database),
             "storage makes it when it starts",
             {}});
      return checked("schema", before, "");
    }
    const auto statements = schema_statements();
    if (!statements) {
      found({"schema_unreadable", Severity::error, statements.error().text(), "correct storage.schema_file", {}});
      return checked("schema", before, "");
    }
    const auto wanted = sinks::clickhouse::schema_tables(*statements);
    const auto have = wanted ? sinks::clickhouse::read_schema(client, *wanted) : wanted;
    if (!have) return skipped("schema", have.error().text());
    auto differences = sinks::clickhouse::schema_differences(*wanted, *have);
    const auto of_tables = differences.size();
    const auto views = sinks::clickhouse::schema_views(*statements);
    const auto others = views ? sinks::clickhouse::view_differences(client, *views) : views.error();
    if (!others) return skipped("schema", others.error().text());
    for (const auto& view : *others) differences.push_back(view.text);
    if (!differences.empty()) {
      auto mends = sinks::clickhouse::schema_mends(*wanted, *have);
      std::ranges::copy(statements_of_missing(*statements, *wanted, *have), std::back_inserter(mends));
      // They read the tables: made last. Storage does without them, those who ask do not.
      for (const auto& view : *others)
        if (!view.view.statement.empty()) mends.push_back(view.view.statement);
      const bool all = mends.size() == differences.size();
      Finding finding{
          "schema_drift",
          of_tables > 0 ? Severity::error : Severity::warning,
          fmt::format(
              "{}: {}{}",
              of_tables > 0
                  ? "the tables are not those of the schema, storage does not write"
                  : "views are not those of the schema, what they are asked is answered otherwise or not at all",
              shortened(fmt::format("{}", fmt::join(differences, "; ")), 500),
              differences.size() > 1 ? fmt::format(" ({} differences)", differences.size()) : ""),
          all ? "the commands change the columns and make the tables and views that are missing or different"
              : "a table with another engine or key must be renamed away (RENAME TABLE), storage then makes a new one; the "
                "commands change columns and make the tables and views that are missing or different",
          {}};
      for (const auto& sql : mends) finding.commands.push_back(query_command(sql));
      found(std::move(finding));
    }
    judge_ttl(client, *wanted);
    checked("schema", before, fmt::format("{} tables of {}", wanted->size(), t_.storage.database));
  }

  void judge_ttl(clickhouse::Client& client, const std::vector<sinks::clickhouse::SchemaTable>& wanted) {
    // A default is no reason to have rows expire earlier, or never: somebody may have configured otherwise in a file
    // that is not known here.
    const bool is_told =
        (seen_.storage.hot_ttl_days && seen_.storage.database == t_.storage.database) || !t_.storage_config.empty();
    if (!is_told) return;
    const auto rows = client.rows({fmt::format(
        "SELECT name, extract(create_table_query, 'TTL toDateTime\\\\(timestamp\\\\) \\\\+ toIntervalDay\\\\(([0-9]+)\\\\)'), "
        "position(engine_full, 'TTL ') > 0 FROM system.tables WHERE database = {} FORMAT TabSeparated",
        clickhouse::sql_text(t_.storage.database))});
    if (!rows) return;
    const auto days = ttl_days();
    const auto must_be = days ? std::to_string(*days) : "";
    Finding finding{
        "ttl_differs",
        Severity::warning,
        "",
        "change the tables by the commands (rows older than the new time are removed), or clickhouse.hot_ttl of storage",
        {}};
    for (const auto& row : *rows) {
      const auto table = std::find_if(wanted.begin(), wanted.end(), [&](const auto& w) {
        return w.database == t_.storage.database && w.name == row.at(0);
      });
      // Only the hot data tables expire: those by day.
      if (table == wanted.end() || table->partition_key != "toDate(timestamp)") continue;
      const bool has_ttl = row.at(2) == "1";
      if (row.at(1) == must_be && has_ttl == days.has_value()) continue;
      finding.what +=
          fmt::format("{}{} {}", finding.what.empty() ? "rows do not expire as configured: " : ", ", row.at(0),
                      !has_ttl            ? "keeps them for ever"
                      : row.at(1).empty() ? "has a rule of its own"
                                          : "after " + row.at(1) + " days");
      const auto name = t_.storage.database + "." + row.at(0);
      finding.commands.push_back(query_command(
          days ? fmt::format("ALTER TABLE {} MODIFY TTL toDateTime(timestamp) + INTERVAL {} DAY DELETE", name, *days)
               : fmt::format("ALTER TABLE {} REMOVE TTL", name)));
    }
    if (finding.commands.empty()) return;
    finding.what += fmt::format("; configured: {}", days ? fmt::format("{} days", *days) : "for ever");
    found(std::move(finding));
  }

  // ---- services ----

  void examine_services() {
    auto before = count();
    const auto& s = seen_.storage;
    if (!s.state.answers || s.types.empty()) {
      part_is_down("storage", t_.storage_health_url(), s.state.trouble);
    } else {
      if (!s.foreign.empty() && s.state.trouble.starts_with("refuses rows"))
        found(foreign_data(s));
      else if ((s.state.trouble.find("access_denied") != std::string::npos ||
                s.state.trouble.find("AUTHENTICATION_FAILED") != std::string::npos) &&
               seen_.clickhouse.state.is_well())
        found(
            {"clickhouse_password",
             Severity::error,
             "storage does not store: " + s.state.trouble,
             "ClickHouse takes the user and password of this command, not those that storage was started with (or its user lacks the "
             "right that is named): start storage again with CLICKHOUSE_USER and CLICKHOUSE_PASSWORD as they are here; everything waits "
             "on the bus meanwhile",
             {}});
      else if (!s.state.is_well())
        found(
            {"storage_unwell",
             Severity::error,
             "storage does not store: " + s.state.trouble,
             "when NATS or ClickHouse have a finding here, mend that; a lease that a dead process holds runs out by itself in some "
             "seconds; its log says more",
             {}});
      if (!s.metrics_state.is_well()) metrics_away("storage", s.metrics_state, t_.storage_metrics_url());
      for (const auto& [type, seen] : s.types) {
        // A rare type waits for its batch and was stored long ago: what counts is how long the oldest row waits.
        const auto last_insert = seen.last_insert_age_seconds.value_or(0);
        const bool is_stuck = seen.waiting > 0 && seen.state == "running" && last_insert > kStuckSeconds &&
                              seen.held_for_seconds.value_or(last_insert) > kStuckSeconds;
        if (is_stuck)
          found(
              {"storage_behind",
               Severity::warning,
               fmt::format("{} messages of {} wait, and nothing was stored for {:.0f} s", seen.waiting, type,
                           *seen.last_insert_age_seconds),
               "ClickHouse is slow or its disk is (SHOW PROCESSLIST); if both look well, restart storage: nothing is lost or doubled by "
               "that",
               {}});
      }
    }
    checked("storage", before, t_.storage_health_url());
    before = count();
    const auto& c = seen_.collector;
    if (!c.state.answers || c.data_source.empty()) {
      part_is_down("collector", t_.collector_health_url(), c.state.trouble);
    } else {
      const bool is_of_streams = c.state.trouble.find("streams bring no good data") != std::string::npos ||
                                 c.state.trouble == "starting" || c.state.trouble == "not connected to every venue";
      if (c.journal_failing)
        found({"journal_failing",
               Severity::error,
               "the collector cannot write its journal: data is lost now",
               "make room or mend the disk of " + t_.journal + "; it goes on by itself when it can write",
               {fmt::format("df -h {}", shell_quoted(t_.journal))}});
      else if (!c.state.is_well() && !is_of_streams)
        found(
            {"collector_unwell",
             Severity::error,
             "the collector: " + c.state.trouble,
             "when NATS has a finding here, mend that: what was received waits in the journal; else its log says more",
             {}});
      if (!c.metrics_state.is_well()) metrics_away("collector", c.metrics_state, t_.collector_metrics_url());
    }
    checked("collector", before, t_.collector_health_url());
  }

  // The usual mistake: storage has the wrong data_source, or reads another collector's stream.
  Finding foreign_data(const StorageSeen& seen) const {
    const auto most = std::max_element(seen.foreign.begin(), seen.foreign.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    const auto source = data_source_from(most->first == "backfill" ? "live" : most->first);
    const std::string usual = source ? storage::usual_database(*source) : "";
    Finding finding{
        "foreign_data",
        Severity::error,
        "storage " + seen.state.trouble,
        fmt::format(
            "stream {} brings {} data: stop this storage and start one for them (the command; storage.data_source: {} and "
            "clickhouse.database: {} in a file): it begins with the oldest message that the stream still holds. Or, when "
            "they do not belong here, stop their collector or give it another NATS (nats.url)",
            seen.stream, most->first, source ? to_string(*source) : most->first, usual),
        {}};
    if (!source || t_.is_up) return finding;
    const std::vector<config::Flag> flags{{"storage.data_source", to_string(*source), "--data-source"},
                                          {"clickhouse.database", usual, "--database"}};
    // Only live data expire: a file that says when they do does not fit the others.
    if (!storage_as_read(flags)) {
      finding.cure += fmt::format(
          " ({} does not fit them as it is: clickhouse.hot_ttl and cold_database are for live data)", storage_file());
      return finding;
    }
    finding.commands.push_back(storage_command("", *source));
    return finding;
  }

  void metrics_away(const std::string& part, const PartState& state, const std::string& url) {
    found({"metrics_away",
           Severity::warning,
           fmt::format("{}'s metrics: {}", part, state.trouble),
           fmt::format("is {} the address that it was started with (metrics.listen)?", url),
           {}});
  }

  // ---- venues ----

  // The venue's own, or those that the configuration has in their place; one for each host.
  static std::vector<std::string> addresses_of(const SessionOptions& session) {
    const auto exchange = find_exchange(session.source.exchange);
    if (!exchange) return {};
    const auto& markets = (*exchange)->markets;
    const auto market = std::find(markets.begin(), markets.end(), session.source.market);
    if (market == markets.end()) return {};
    std::set<std::string> bases;
    for (const auto& address : (*exchange)->addresses[static_cast<std::size_t>(market - markets.begin())]) {
      const auto& other = address.starts_with("ws") ? session.ws_base : session.rest_base;
      const auto url = net::parse_url((other.empty() ? address : other) + "/");
      if (url) bases.insert(fmt::format("{}://{}:{}/", url->is_secure() ? "https" : "http", url->host, url->port));
    }
    return {bases.begin(), bases.end()};
  }

  // A venue's address, and what it answered.
  struct Venue {
    std::string exchange, address, proxy;
    bool is_here = false;
    Instant asked{}, answered{};
    std::optional<Result<net::HttpResponse>> answer{};
  };

  // All at once, in threads of their own, while the rest is looked at: together they take no longer than the slowest.
  // What has not ended when it must (a name server that is silent holds a thread for longer than any time-out) is left
  // behind; so the threads have everything to themselves.
  void ask_venues() {
    std::set<std::string> done;
    for (const auto& session : t_.collector.sources) {
      const auto proxy = t_.collector.proxies.find(session.source);
      for (const auto& address : addresses_of(session)) {
        const bool is_here = is_local(net::parse_url(address)->host);
        if (o_.offline && !is_here) {
          ++venues_left_;
          continue;
        }
        if (!done.insert(address + session.source.exchange).second) continue;
        venues_.push_back(
            {session.source.exchange, address, proxy == t_.collector.proxies.end() ? "" : proxy->second, is_here});
      }
    }
    venues_until_ = std::chrono::steady_clock::now() + o_.patience * 4;
    for (auto venue : venues_) {
      std::promise<Venue> asked;
      answers_.push_back(asked.get_future());
      net::HttpRequest request{.url = venue.address, .proxy = venue.proxy};
      request.timeouts = {.connect = o_.patience * 2, .total = o_.patience * 3};
      std::thread([venue, request, asked = std::move(asked), now = o_.machine.now,
                   ca_file = t_.collector.ca_file]() mutable {
        net::HttpClient client({.ca_file = ca_file});
        venue.asked = now();
        venue.answer = client.request(request);
        venue.answered = now();
        asked.set_value(std::move(venue));
      }).detach();
    }
  }

  void examine_venues() {
    const auto before = count();
    for (std::size_t i = 0; i < venues_.size(); ++i) {
      auto& venue = venues_[i];
      if (answers_[i].wait_until(venues_until_) == std::future_status::ready)
        venue = answers_[i].get();
      else
        venue.answer = Error{Errc::timeout, "GET " + venue.address,
                             fmt::format("no answer within {} s (a name server that is silent?)",
                                         std::chrono::duration_cast<std::chrono::seconds>(o_.patience * 4).count())};
      judge_venue(venue);
    }
    if (venues_.empty()) return skipped("venues", venues_left_ > 0 ? "--offline" : "no venue is configured");
    checked("venues", before,
            fmt::format("{} addresses answer{}", venues_.size(),
                        venues_left_ > 0 ? fmt::format(", {} left out by --offline", venues_left_) : ""));
  }

  void judge_venue(const Venue& venue) {
    const auto& answer = *venue.answer;
    if (!answer) return venue_away(venue.exchange, venue.address, answer.error(), venue.is_here);
    if (answer->status == 451)
      found({"venue_refuses",
             Severity::error,
             fmt::format("{} does not serve this region: {} answers 451", venue.exchange, venue.address),
             "collect it from a machine elsewhere, or through a proxy there (network.proxy)",
             {}});
    const auto date = answer->header("Date");
    const auto there = date ? parse_http_date(*date) : std::nullopt;
    if (!there || venue.is_here) return;
    const double half_way = std::chrono::duration<double>(venue.answered.mono - venue.asked.mono).count() / 2;
    // The header is cut to whole seconds.
    const double offset = std::chrono::duration<double>(venue.asked.wall - *there).count() + half_way - 0.5;
    offsets_.push_back({net::parse_url(venue.address)->host, offset, 0.5 + half_way});
  }

  void venue_away(const std::string& exchange, const std::string& address, const Error& error, bool is_here) {
    Finding finding{"venue_unreachable",
                    Severity::error,
                    fmt::format("{} is not reached: {}: {}", exchange, address, shortened(error.seen, 200)),
                    "",
                    {fmt::format("curl -v {}", address)}};
    const auto by_proxy = error.where.find("by proxy ");
    if (by_proxy != std::string::npos) finding.what += "; " + error.where.substr(by_proxy);
    if (error.code == Errc::refused) {
      finding.cure =
          "TLS fails: this machine's clock or its certificates (package ca-certificates) are old, or a proxy opens TLS and its certificate "
          "must stand in network.ca_file";
    } else if (by_proxy != std::string::npos) {
      finding.cure =
          "the proxy does not lead there: its address, user and password (network.proxy, HTTPS_PROXY), and whether it allows the venue";
    } else if (error.seen.find("resolve") != std::string::npos) {
      finding.cure =
          "the name is not found: name resolution of this machine (/etc/resolv.conf), or a proxy is needed (network.proxy, HTTPS_PROXY)";
      finding.commands = {fmt::format("getent hosts {}", net::parse_url(address)->host)};
    } else if (is_here) {
      nobody_here(finding, place_of(address).port);
    } else {
      finding.cure =
          "a firewall, or a proxy is needed (network.proxy, HTTPS_PROXY); the venue's status page says whether it is away itself";
    }
    reasons_.emplace(exchange, fmt::format("{} is not reached", address));
    found(std::move(finding));
  }

  void nobody_here(Finding& finding, std::uint16_t port) const {
    finding.cure =
        "what should answer there (a simulator, a mirror) does not: start it, or take ws_base and rest_base out of the configuration";
    finding.commands.clear();
    if (t_.collector.data_source == DataSource::simulated && !t_.is_up)
      finding.commands = {fmt::format("{} sim --listen 127.0.0.1:{}", shell_quoted(self()), port)};
    const auto holder = launcher::holder_of(port);
    if (!holder.is_taken) return;
    finding.what += fmt::format(
        " (port {} is held by {})", port,
        holder.pid == 0 ? "another user's process" : fmt::format("pid {} ({})", holder.pid, holder.program));
  }

  void examine_streams() {
    const auto before = count();
    if (!seen_.collector.state.answers || seen_.collector.data_source.empty())
      return skipped("streams", "the collector does not answer");
    for (auto& finding : judge_streams(seen_.collector, reasons_)) found(std::move(finding));
    std::size_t live = 0;
    for (const auto& stream : seen_.collector.streams) live += stream.state == "live" ? 1U : 0U;
    checked("streams", before, fmt::format("{} of {} live", live, seen_.collector.streams.size()));
  }

  // ---- the machine ----

  void examine_clock() {
    const auto before = count();
    // Both were asked within a moment of each other: a clock that is off shows by seconds. Those of this machine go by
    // the clock that is to be judged: that they agree says nothing.
    const auto add = [&](const char* of, const std::string& address, double seconds) {
      if (!is_local(place_of(address).host) || std::abs(seconds) > kLocalClocks) offsets_.push_back({of, seconds, 0});
    };
    if (const auto& clock = seen_.nats.clock) add("NATS", t_.nats_http, seconds_ahead(*clock));
    if (seen_.clickhouse.state.is_well()) {
      auto to = t_.storage.clickhouse;
      to.connect_timeout = to.query_timeout = o_.patience;
      clickhouse::Client client(to);
      if (const auto rows = client.rows({"SELECT toUnixTimestamp64Nano(now64(9)) FORMAT TabSeparated"});
          rows && !rows->empty())
        add("ClickHouse", t_.storage.clickhouse.url,
            std::chrono::duration<double>(o_.machine.now().wall -
                                          wall_from_nanos(std::strtoll(rows->front().at(0).c_str(), nullptr, 10)))
                .count());
    }
    for (const auto& sample : seen_.collector.metrics.all("marketprism_collector_venue_delay_min_seconds")) {
      // Earlier than it happened: the clock is behind. Late is no proof, the path may be slow.
      if (!(sample.value < 0)) continue;
      const auto exchange = sample.labels.find("exchange");
      offsets_.push_back(
          {exchange == sample.labels.end() ? "a venue" : exchange->second + "'s events", sample.value, 0});
    }
    if (auto finding = judge_clocks(offsets_, o_.machine.clock_is_synchronised(), o_.machine.clock_commands()))
      found(std::move(*finding));
    checked(
        "clock", before,
        offsets_.empty() ? "compared with nobody elsewhere" : fmt::format("compared with {} others", offsets_.size()));
  }
  // What was asked of other parts after NATS had answered took its time, up to some time-outs: that is no offset.
  double seconds_ahead(WallTime there) const {
    const auto now = o_.machine.now();
    const auto since_answer = std::chrono::duration<double>(now.mono - seen_.nats.clock_read_at).count();
    const double ahead = std::chrono::duration<double>(now.wall - there).count() - since_answer;
    return ahead > 0 ? std::max(0.0, ahead - std::chrono::duration<double>(o_.patience).count()) : ahead;
  }

  // What lies where on this machine, each folder once. A folder may be a disk of its own wherever it lies.
  std::vector<DiskUse> folders_here() const {
    std::vector<DiskUse> uses;
    std::error_code error;
    const auto add = [&](const char* use, const std::string& folder) {
      const bool is_there = std::ranges::any_of(
          uses, [&](const auto& each) { return each.folder == folder || fs::equivalent(each.folder, folder, error); });
      // As it can be typed anywhere.
      if (!folder.empty() && !is_there) uses.push_back({use, fs::absolute(folder, error).lexically_normal().string()});
    };
    const auto below = [&](const char* name) {
      return !t_.data.empty() && fs::is_directory(t_.data + name, error) ? t_.data + name : std::string();
    };
    add("the journal", t_.journal);
    if (is_local(place_of(t_.nats_http).host) && fs::is_directory(seen_.nats.store, error))
      add("JetStream", seen_.nats.store);
    else
      add("JetStream", below("/nats"));
    const bool is_clickhouse_here = is_local(place_of(t_.storage.clickhouse.url).host);
    for (const auto& disk : seen_.clickhouse.disks)
      if (is_clickhouse_here && fs::is_directory(disk.path, error)) add("ClickHouse", disk.path);
    add("ClickHouse", below("/clickhouse"));
    add("the logs", below("/logs"));
    add("the data folder", t_.data);
    return uses;
  }

  void examine_disks() {
    const auto before = count();
    struct Group {
      DiskSeen disk;
      std::vector<DiskUse> uses;
    };
    std::vector<Group> groups;
    const auto add = [&](const DiskUse& use, const DiskSeen& disk) {
      const auto same = std::ranges::find_if(groups, [&](const Group& group) {
        if (disk.device != 0 && group.disk.device != 0) return disk.device == group.disk.device;
        // A container's disk may be this machine's: the same size, and as much room a moment later.
        const auto [less, more] = std::minmax(disk.free_bytes, group.disk.free_bytes);
        return disk.total_bytes == group.disk.total_bytes && more - less < kSameRoom;
      });
      if (same == groups.end())
        groups.push_back({disk, {use}});
      else
        same->uses.push_back(use);
    };
    const auto here = folders_here();
    for (const auto& use : here)
      if (const auto disk = o_.machine.disk(use.folder)) add(use, *disk);
    // Those that are not to be seen from here are on another machine, or in a container.
    std::error_code error;
    for (const auto& disk : seen_.clickhouse.disks)
      if (std::ranges::none_of(here, [&](const auto& use) {
            return use.folder == disk.path || fs::equivalent(use.folder, disk.path, error);
          }))
        add({"ClickHouse", ""}, {disk.path, disk.free_bytes, disk.total_bytes});
    std::string detail;
    for (const auto& group : groups) {
      if (auto finding = judge_disk(group.uses, group.disk)) found(std::move(*finding));
      detail += fmt::format("{}{} free at {}", detail.empty() ? "" : ", ", bytes_text(group.disk.free_bytes),
                            group.disk.path);
    }
    checked("disk", before, detail);
  }

  void examine_versions() {
    const auto before = count();
    if (!nats_version_.empty()) {
      const auto version = version_numbers(nats_version_);
      if (version < std::pair{2, 9})
        found({"version_old",
               Severity::error,
               "nats-server " + nats_version_ + " is too old",
               "2.9 or later is needed: upgrade it (tools/setup installs one)",
               {}});
      else if (version < std::pair{2, 14})
        found({"version_old",
               Severity::note,
               "nats-server " + nats_version_ + " has no fast ingest: publishing is slower, nothing else",
               "2.14 or later has it",
               {}});
    }
    for (const auto& [part, page] :
         {std::pair{"collector", &seen_.collector.metrics}, std::pair{"storage", &seen_.storage.metrics}}) {
      for (const auto& sample : page->all("marketprism_build_info")) {
        const auto version = sample.labels.find("version");
        if (version == sample.labels.end() || version->second == kVersion) continue;
        found({"version_mixed",
               Severity::warning,
               fmt::format("{} is version {}, this program {}", part, version->second, kVersion),
               "restart it with this version, or use its own program for this command",
               {}});
      }
    }
    checked("versions", before,
            fmt::format("marketprism {}{}", kVersion, nats_version_.empty() ? "" : ", nats-server " + nats_version_));
  }

  const DoctorOptions& o_;
  const Target& t_;
  Snapshot seen_;
  Diagnosis diagnosis_;
  std::string nats_version_;
  std::vector<Venue> venues_;
  std::vector<std::future<Venue>> answers_;  // one for each
  std::chrono::steady_clock::time_point venues_until_{};
  std::size_t venues_left_ = 0;  // not tried
  std::vector<ClockOffset> offsets_;
  std::map<std::string, std::string> reasons_;
};

}  // namespace

Machine this_machine() {
  Machine machine;
  machine.now = [] { return net::now(); };
  machine.disk = [](const std::string& folder) -> std::optional<DiskSeen> {
    // A folder that is not made yet will be on its parent's disk.
    fs::path path = fs::absolute(folder);
    std::error_code error;
    while (!fs::exists(path, error) && path.has_relative_path()) path = path.parent_path();
    struct statvfs disk {};
    struct stat file {};
    if (::statvfs(path.c_str(), &disk) != 0 || ::stat(path.c_str(), &file) != 0) return std::nullopt;
    return DiskSeen{path.string(), static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize,
                    static_cast<std::uint64_t>(disk.f_blocks) * disk.f_frsize, file.st_dev};
  };
  machine.clock_is_synchronised = []() -> std::optional<bool> {
    struct timex state {};
    const int answer = ::adjtimex(&state);
    if (answer < 0) return std::nullopt;
    return answer != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
  };
  machine.clock_commands = [] {
    const auto is_there = [](const char* path) {
      std::error_code error;
      return fs::exists(path, error);
    };
    return clock_commands({.is_container = is_there("/.dockerenv") || is_there("/run/.containerenv"),
                           .is_root = ::geteuid() == 0,
                           .has_systemd = is_there("/run/systemd/system"),
                           .has_chrony = is_there("/usr/bin/chronyc"),
                           .has_timesyncd = is_there("/lib/systemd/systemd-timesyncd")});
  };
  return machine;
}

Diagnosis examine(const DoctorOptions& options) { return Examination(options).run(); }

}  // namespace mp::operate
