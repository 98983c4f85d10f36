#include "app/variables.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>
#include <optional>
#include <regex>
#include <set>

#include "base/log.hpp"
#include "base/text.hpp"
#include "config/config.hpp"
#include "data-storage-service/src/options.hpp"
#include "services/data-collector/src/config.hpp"

namespace mp::app {
namespace {

constexpr std::string_view kPrefix = "MARKETPRISM_";

// Read elsewhere than by the services' configuration: the program itself, Compose files, tools/ and tests.
constexpr const char* kOthers[] = {"MARKETPRISM_NATS_SERVER",       "MARKETPRISM_LIBCHDB",
                                   "MARKETPRISM_EXPORT_PIECE_ROWS", "MARKETPRISM_BIND",
                                   "MARKETPRISM_REQUIRE_DEPS",      "MARKETPRISM_BUILD_JOBS"};

struct Known {
  std::set<std::string> names;
  // What somebody may take for a name, and the name: MARKETPRISM_LOGGING_LEVEL is LOG_LEVEL,
  // MARKETPRISM_COLLECTOR_NATS_URL is NATS_URL.
  std::map<std::string, std::string> aliases;
};

std::string in_capitals(std::string_view path) {
  std::string name;
  for (const char c : path)
    name += std::isalnum(static_cast<unsigned char>(c)) != 0
                ? static_cast<char>(std::toupper(static_cast<unsigned char>(c)))
                : '_';
  return name;
}

Known known_variables() {
  Known known;
  known.names.insert(std::begin(kOthers), std::end(kOthers));
  const config::Environment none = [](const std::string&) { return std::nullopt; };
  const auto add = [&](const config::Config& config) {
    for (const auto& setting : config.settings()) {
      known.names.insert(setting.env);
      for (const auto* part : {"", "COLLECTOR_", "STORAGE_"})
        known.aliases.emplace(fmt::format("{}{}{}", kPrefix, part, in_capitals(setting.path)), setting.env);
    }
  };
  config::Node empty;
  empty.kind = config::Node::Kind::map;
  config::Config collector(empty, none), storage(empty, none);
  // What they say is of no interest: reading declares the keys.
  (void)collector::read_settings(collector);
  storage::read_options(storage);
  add(collector);
  add(storage);
  for (const auto& name : known.names) known.aliases[name] = name;
  return known;
}

// Read by no configuration, and part of how `up` was started all the same.
constexpr const char* kBeside[] = {"MARKETPRISM_NATS_SERVER",
                                   "MARKETPRISM_LIBCHDB",
                                   "https_proxy",
                                   "HTTPS_PROXY",
                                   "http_proxy",
                                   "all_proxy",
                                   "ALL_PROXY",
                                   "no_proxy",
                                   "NO_PROXY"};

// Kubernetes and Docker set such variables in every container for services that are called marketprism-…
bool is_of_a_service(const std::string& name) {
  static const std::regex pattern(
      "MARKETPRISM_.*(_SERVICE_HOST|_SERVICE_PORT(_.*)?|_PORT|_PORT_[0-9]+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)");
  return std::regex_match(name, pattern);
}

}  // namespace

std::vector<UnknownVariable> unknown_variables(const std::vector<std::string>& names) {
  std::vector<UnknownVariable> unknown;
  std::optional<Known> known;
  std::vector<std::string> candidates;
  for (const auto& name : names) {
    if (!name.starts_with(kPrefix)) continue;
    if (!known) {
      known = known_variables();
      for (const auto& [alias, real] : known->aliases) candidates.push_back(alias);
    }
    constexpr std::string_view kFile = "_FILE";
    const auto plain = name.ends_with(kFile) ? name.substr(0, name.size() - kFile.size()) : name;
    if (known->names.contains(name) || known->names.contains(plain) || is_of_a_service(name)) continue;
    const auto near = nearest(name, candidates);
    unknown.push_back({name, near.empty() ? "" : known->aliases.at(near)});
  }
  std::sort(unknown.begin(), unknown.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return unknown;
}

SetVariables set_variables(const config::Environment& environment) {
  config::Node empty;
  empty.kind = config::Node::Kind::map;
  config::Config collector(empty, environment), storage(empty, environment);
  (void)collector::read_settings(collector);
  storage::read_options(storage);
  SetVariables set;
  const auto add = [&](const std::string& name, bool is_secret) {
    const auto value = environment(name);
    if (!value || set.values.contains(name) || std::ranges::count(set.secrets, name) > 0) return;
    if (is_secret)
      set.secrets.push_back(name);
    else
      set.values.emplace(name, name.ends_with("_FILE") ? std::filesystem::absolute(*value).string() : *value);
  };
  for (const auto* config : {&collector, &storage})
    for (const auto& setting : config->settings())
      // "…_FILE": where a secret stands, which is none.
      if (setting.origin == config::Origin::environment)
        add(setting.from, setting.from == setting.env && setting.value.find("***") != std::string::npos);
  for (const auto* name : kBeside) {
    const auto value = environment(name);
    if (value) add(name, config::without_secrets(*value) != *value);
  }
  return set;
}

std::string unknown_variables_text() {
  std::vector<std::string> names;
  for (char** each = ::environ; each != nullptr && *each != nullptr; ++each) {
    const std::string_view entry = *each;
    const auto equals = entry.find('=');
    // One that is set but empty counts as not set.
    if (equals != std::string_view::npos && equals + 1 < entry.size()) names.emplace_back(entry.substr(0, equals));
  }
  std::string text;
  for (const auto& variable : unknown_variables(names))
    text += fmt::format("{}{}{}", text.empty() ? "" : ", ", variable.name,
                        variable.near.empty() ? "" : fmt::format(" (did you mean {}?)", variable.near));
  return text;
}

void warn_about_variables() {
  if (const auto text = unknown_variables_text(); !text.empty())
    log::warn("nothing reads these environment variables", {{"variables", text}});
}

}  // namespace mp::app
