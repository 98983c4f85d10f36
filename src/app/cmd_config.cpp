// marketprism config: what is in effect and where it comes from; is it right; take it over.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>

#include "app/cli.hpp"
#include "app/commands.hpp"
#include "app/launcher/preflight.hpp"
#include "app/variables.hpp"
#include "base/text.hpp"
#include "config/files.hpp"
#include "data-storage-service/src/foreign_rows.hpp"
#include "data-storage-service/src/options.hpp"
#include "services/data-collector/src/config.hpp"

namespace mp::app {
namespace {

namespace fs = std::filesystem;

const std::string kExamples =
    "  marketprism config show\n"
    "      every key of collector and storage: its value, and the variable or file:line it comes from\n"
    "  LOG_LEVEL=debug marketprism config show storage --changed\n"
    "  marketprism config check services/data-collector/config my_storage.yaml\n"
    "      exit status 2 and every problem with file, line and the nearest key when something cannot work\n"
    "  marketprism config reload --data data\n"
    "      the parts that `marketprism up --data data` runs read their files again (elsewhere: kill -HUP PID,\n"
    "      docker kill --signal HUP marketprism-data-collector)\n";

struct Part {
  const char* name;
  std::string shipped;  // below the checkout
  // Keys that stand in its files only.
  std::vector<std::string> own_keys;
  std::function<Result<config::Node>(const std::vector<std::string>&)> load;
  std::function<Result<void>(config::Config&)> read;  // with finish()
};

const std::vector<Part>& parts() {
  static const std::vector<Part> all{
      {"collector",
       "services/data-collector/config",
       {"data_source", "journal", "network", "drain_timeout", "exchanges"},
       [](const auto& paths) { return config::load_files(paths); },
       [](config::Config& config) -> Result<void> {
         const auto settings = collector::read_settings(config);
         if (!settings) return settings.error();
         return {};
       }},
      {"storage",
       "services/data-storage-service/config/unified_storage_service.yaml",
       {"clickhouse", "storage", "batches", "trim", "tiers"},
       [](const auto& paths) { return storage::load_configuration(paths, config::process_environment(), {}); },
       [](config::Config& config) -> Result<void> {
         const auto options = storage::read_options(config);
         if (auto finished = config.finish(); !finished) return finished;
         return storage::check_database(options);
       }}};
  return all;
}

const Part* part_named(const std::string& name) {
  for (const auto& part : parts())
    if (name == part.name) return &part;
  return nullptr;
}

// By the keys that only one of them has; a fragment of common sections is the collector's unless its path says
// otherwise.
const Part& part_of(const config::Node& root, const std::string& path) {
  const Part* best = nullptr;
  std::ptrdiff_t most = 0;
  for (const auto& part : parts()) {
    const auto keys = std::ranges::count_if(
        root.entries, [&](const auto& entry) { return std::ranges::count(part.own_keys, entry.key) > 0; });
    if (keys <= most) continue;
    most = keys;
    best = &part;
  }
  if (best != nullptr) return *best;
  return path.find("storage") == std::string::npos ? parts()[0] : parts()[1];
}

std::vector<std::string> shipped_files(const Part& part) {
  const auto root = launcher::install_root();
  const auto path = root.empty() ? part.shipped : (fs::path(root) / part.shipped).string();
  if (!fs::exists(path)) return {};
  return {fs::proximate(path).string()};
}

std::string json_string(const std::string& text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

// ---- show -----------------------------------------------------------------------------------------------------

struct ShowOptions {
  std::vector<std::string> names;
  std::vector<std::string> files;
  bool json = false;
  bool changed = false;
};

void print_text(const Part& part, const std::vector<std::string>& files, const std::vector<config::Setting>& settings) {
  fmt::print("# {}: {}\n", part.name,
             files.empty() ? "no file, environment and defaults" : fmt::format("{}", fmt::join(files, ", ")));
  std::size_t widest_path = 0;
  std::size_t widest_value = 0;
  for (const auto& setting : settings) {
    widest_path = std::max(widest_path, setting.path.size());
    widest_value = std::max(widest_value, std::min<std::size_t>(setting.value.size(), 40));
  }
  for (const auto& setting : settings)
    fmt::print("{:<{}}  {:<{}}  {}\n", setting.path, widest_path, setting.value.empty() ? "\"\"" : setting.value,
               std::max<std::size_t>(widest_value, 2), setting.from);
}

std::string json_of(const std::vector<config::Setting>& settings) {
  std::vector<std::string> entries;
  for (const auto& setting : settings)
    entries.push_back(
        fmt::format(R"({{"key":{},"value":{},"origin":"{}","from":{},"differs":{},"variable":{},"help":{}}})",
                    json_string(setting.path), json_string(setting.value), to_string(setting.origin),
                    json_string(setting.from), setting.differs, json_string(setting.env), json_string(setting.help)));
  return "[" + fmt::format("{}", fmt::join(entries, ",")) + "]";
}

int show(const ShowOptions& options) {
  std::vector<const Part*> chosen;
  for (const auto& name : options.names) {
    const auto* part = part_named(name);
    if (part == nullptr) {
      fail("config show", fmt::format("'{}' is none of collector, storage", name));
      return 2;
    }
    chosen.push_back(part);
  }
  if (!options.files.empty() && chosen.size() != 1) {
    fail("config show", "--config needs the part whose files they are: marketprism config show storage --config FILE");
    return 2;
  }
  if (chosen.empty())
    for (const auto& part : parts()) chosen.push_back(&part);
  int status = 0;
  std::vector<std::string> json;
  for (const auto* part : chosen) {
    const auto files = options.files.empty() ? shipped_files(*part) : options.files;
    auto root = part->load(files);
    if (!root) {
      fail("config show", root.error().text());
      return 2;
    }
    config::Config config(std::move(*root));
    if (const auto ok = part->read(config); !ok) {
      fmt::print(stderr, "{}\n", ok.error().text());
      status = 2;
    }
    auto settings = config.settings();
    if (options.changed) std::erase_if(settings, [](const auto& setting) { return !setting.differs; });
    if (options.json)
      json.push_back(json_string(part->name) + ":" + json_of(settings));
    else
      print_text(*part, files, settings);
  }
  if (options.json) fmt::print("{{{}}}\n", fmt::join(json, ","));
  return status;
}

// ---- check ----------------------------------------------------------------------------------------------------

bool check_one(const Part& part, const std::string& path, config::Node root) {
  const bool whole = fs::is_directory(path) && std::string_view(part.name) == "collector";
  if (whole && root.find("exchanges") == nullptr) {
    fmt::print(stderr, "{}: exchanges is missing: nothing would be collected; name exchanges and their symbols\n",
               path);
    return false;
  }
  config::Config config(std::move(root));
  if (const auto ok = part.read(config); !ok) {
    fmt::print(stderr, "{}\n", ok.error().text());
    return false;
  }
  fmt::print("{}: good ({})\n", path, part.name);
  return true;
}

int check(const std::vector<std::string>& named, const std::string& part_name) {
  if (!part_name.empty() && part_named(part_name) == nullptr) {
    fail("config check", fmt::format("--part '{}' is none of collector, storage", part_name));
    return 2;
  }
  auto paths = named;
  if (paths.empty())
    for (const auto& part : parts())
      for (const auto& file : shipped_files(part)) paths.push_back(file);
  if (paths.empty()) {
    fail("config check", "name the files or folders to be checked");
    return 2;
  }
  bool good = true;
  if (const auto variables = unknown_variables_text(); !variables.empty()) {
    fmt::print(stderr, "environment: nothing reads {}\n", variables);
    good = false;
  }
  for (const auto& path : paths) {
    auto root = config::load_files({path});
    if (!root) {
      fmt::print(stderr, "{}\n", root.error().text());
      good = false;
      continue;
    }
    const auto& part = part_name.empty() ? part_of(*root, path) : *part_named(part_name);
    auto loaded = part.load({path});
    if (loaded) {
      good = check_one(part, path, std::move(*loaded)) && good;
    } else {
      fmt::print(stderr, "{}\n", loaded.error().text());
      good = false;
    }
  }
  return good ? 0 : 2;
}

// ---- reload ---------------------------------------------------------------------------------------------------

// The process of a pid file, if it is this program running that part.
std::optional<pid_t> running(const fs::path& pid_file, const std::string& part) {
  pid_t pid = 0;
  std::ifstream file(pid_file);
  if (!(file >> pid) || pid <= 1) return std::nullopt;
  std::ifstream command("/proc/" + std::to_string(pid) + "/cmdline");
  std::string program, subcommand;
  std::getline(command, program, '\0');
  std::getline(command, subcommand, '\0');
  if (fs::path(program).filename() != "marketprism" || subcommand != part) return std::nullopt;
  return pid;
}

int reload(const std::string& data) {
  int told = 0;
  for (const auto& part : parts()) {
    const auto pid = running(fs::path(data) / "run" / (std::string(part.name) + ".pid"), part.name);
    if (!pid) {
      fmt::print(stderr, "marketprism config reload: no {} runs for {}\n", part.name, data);
      continue;
    }
    if (::kill(*pid, SIGHUP) != 0) {
      fmt::print(stderr, "marketprism config reload: {} (pid {}) cannot be told: {}; run it as the same user\n",
                 part.name, *pid, std::strerror(errno));
      continue;
    }
    fmt::print("{} (pid {}) reads its configuration again; what it took over is in {}/logs/{}.log\n", part.name, *pid,
               data, part.name);
    ++told;
  }
  if (told > 0) return 0;
  return fail(
      "config reload",
      fmt::format(
          "nothing runs below {}; --data names the folder of `marketprism up`, and services that run elsewhere are told by kill -HUP",
          data));
}

}  // namespace

int run_config(int argc, char** argv) {
  auto cli = make_cli(
      "config",
      "The effective configuration, with where each value came from; checks files; lets running services read them again.",
      kExamples);
  cli->require_subcommand(1);
  ShowOptions show_options;
  auto* show_command =
      cli->add_subcommand("show", "every key, its value in effect, and its origin; secrets are masked");
  show_command->add_option("part", show_options.names, "collector, storage; all of them when none is named");
  show_command->add_option("--config", show_options.files, "files or folders instead of the shipped ones; repeatable");
  show_command->add_flag("--changed", show_options.changed, "only what differs from its default");
  show_command->add_flag("--json", show_options.json, "as JSON");
  std::vector<std::string> check_files;
  std::string check_part;
  auto* check_command =
      cli->add_subcommand("check", "reads files and says what is wrong; exit status 2 when something is");
  check_command->add_option("files", check_files, "files or folders; the shipped ones when none is named");
  check_command->add_option("--part", check_part, "whose they are, collector or storage, when their keys do not tell");
  std::string data = "data";
  auto* reload_command = cli->add_subcommand("reload", "running services read their configuration again");
  reload_command->add_option("--data", data, "the folder of `marketprism up`");
  if (const auto status = parse_cli(*cli, argc, argv)) return *status;
  if (show_command->parsed()) return show(show_options);
  if (check_command->parsed()) return check(check_files, check_part);
  if (reload_command->parsed()) return reload(data);
  return 2;
}

}  // namespace mp::app
