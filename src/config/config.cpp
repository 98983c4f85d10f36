#include "config/config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "base/text.hpp"

namespace mp::config {
namespace {

// "nats", "url" -> MARKETPRISM_NATS_URL
std::string variable_name(const std::string& path) {
  std::string name = "MARKETPRISM_";
  for (const char c : path) {
    name += std::isalnum(static_cast<unsigned char>(c)) != 0
                ? static_cast<char>(std::toupper(static_cast<unsigned char>(c)))
                : '_';
  }
  return name;
}

std::string did_you_mean(const std::string& word, const std::vector<std::string>& candidates) {
  const auto near = nearest(word, candidates);
  return near.empty() ? "" : fmt::format("; did you mean '{}'?", near);
}

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> items;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const auto comma = std::min(text.find(',', begin), text.size());
    auto item = text.substr(begin, comma - begin);
    item.erase(0, item.find_first_not_of(" \t"));
    item.erase(item.find_last_not_of(" \t") + 1);
    if (!item.empty()) items.push_back(item);
    begin = comma + 1;
  }
  return items;
}

// A secret from its file: the first line, without the line's end, which editors and `echo` leave there.
Result<std::string> first_line_of(const std::string& path) {
  errno = 0;
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line) && !file.eof())
    return Error{Errc::unavailable, path, std::strerror(errno != 0 ? errno : EIO)};
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

}  // namespace

const char* to_string(Origin origin) {
  switch (origin) {
    case Origin::built_in: return "default";
    case Origin::file: return "file";
    case Origin::environment: return "environment";
    case Origin::flag: return "flag";
  }
  return "?";
}

Environment process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr || *value == '\0') return std::nullopt;
    return value;
  };
}

// A key's value from its strongest source: text, or (from the file only) a list.
struct Section::Found {
  std::string path;
  Place place;  // for complaints: file and line, or the variable's or option's name
  std::string text;
  const Node* node = nullptr;  // in the file
  std::size_t setting = 0;
};

Config::Config(Node root, Environment environment, std::vector<Flag> flags)
    : root_(std::move(root)), environment_(std::move(environment)), flags_(std::move(flags)) {}

Section Config::root() { return Section(*this, &root_, "", false); }

void Config::problem(const Place& place, const std::string& text) {
  problems_.push_back({place.line, place.text() + ": " + text});
}

void Config::refuse_unknown_keys() {
  for (const auto& record : records_) {
    if (record.node == nullptr) continue;
    for (const auto& entry : record.node->entries) {
      // Sections may be asked for twice, each time for some of their keys: all records of the node count.
      std::vector<std::string> known;
      for (const auto& other : records_) {
        if (other.node == record.node) known.insert(known.end(), other.known.begin(), other.known.end());
      }
      if (std::find(known.begin(), known.end(), entry.key) != known.end()) continue;
      const auto text =
          fmt::format("unknown key '{}'{}{}", entry.key, record.path.empty() ? "" : " in '" + record.path + "'",
                      did_you_mean(entry.key, known));
      const auto seen = std::any_of(problems_.begin(), problems_.end(),
                                    [&](const Problem& p) { return p.text == entry.place.text() + ": " + text; });
      if (!seen) problem(entry.place, text);
    }
  }
}

void Config::refuse_unused_flags() {
  for (const auto& flag : flags_) {
    if (std::find(flags_used_.begin(), flags_used_.end(), flag.path) == flags_used_.end()) {
      problem({flag.option, 0}, fmt::format("sets '{}', which is no key here", flag.path));
    }
  }
}

Result<void> Config::finish() {
  refuse_unknown_keys();
  refuse_unused_flags();
  if (problems_.empty()) return {};
  std::stable_sort(problems_.begin(), problems_.end(),
                   [](const Problem& a, const Problem& b) { return a.line < b.line; });
  std::string where;
  for (const auto& problem : problems_) where += (where.empty() ? "" : "\n") + problem.text;
  return Error{Errc::usage, where, ""};
}

Section::Section(Config& config, const Node* node, std::string path, bool in_list)
    : config_(&config), node_(node), path_(std::move(path)), in_list_(in_list), record_(config.records_.size()) {
  config.records_.push_back({node, path_, {}});
}

bool Section::present() const { return node_ != nullptr; }

std::string Section::where() const {
  const std::string place = node_ != nullptr ? node_->place.text() : "configuration";
  return path_.empty() ? place : place + " (" + path_ + ")";
}

std::vector<std::string> Section::keys() const {
  std::vector<std::string> names;
  if (node_ != nullptr) {
    for (const auto& entry : node_->entries) names.push_back(entry.key);
  }
  return names;
}

std::string Section::path_of(const std::string& key) const { return path_.empty() ? key : path_ + "." + key; }

// The value of `key` when it has that kind; null when absent or refused.
const Node* Section::child(const std::string& key, Node::Kind kind, const char* expected) {
  config_->records_[record_].known.push_back(key);
  const auto* entry = node_ == nullptr ? nullptr : node_->find(key);
  if (entry == nullptr || entry->value.kind == Node::Kind::null) return nullptr;
  if (entry->value.kind == kind) return &entry->value;
  config_->problem(entry->place,
                   fmt::format("{}: expected {}, saw {}", path_of(key), expected, describe(entry->value)));
  return nullptr;
}

Section Section::section(const std::string& key) {
  return Section(*config_, child(key, Node::Kind::map, "a mapping (key: value)"), path_of(key), in_list_);
}

std::vector<Section> Section::list(const std::string& key) {
  std::vector<Section> sections;
  const auto* node = child(key, Node::Kind::list, "a list of mappings (- key: value)");
  if (node == nullptr) return sections;
  for (std::size_t i = 0; i < node->items.size(); ++i) {
    const auto& item = node->items[i];
    const auto path = fmt::format("{}[{}]", path_of(key), i);
    if (item.kind == Node::Kind::map) {
      sections.push_back(Section(*config_, &item, path, true));
    } else {
      config_->problem(item.place, fmt::format("{}: expected a mapping (key: value), saw {}", path, describe(item)));
    }
  }
  return sections;
}

std::map<std::string, std::string> Section::table(const std::string& key, bool secret) {
  std::map<std::string, std::string> values;
  const auto* node = child(key, Node::Kind::map, "a mapping (name: value)");
  if (node == nullptr) return values;
  for (const auto& entry : node->entries) {
    if (entry.value.kind == Node::Kind::scalar) {
      values[entry.key] = entry.value.scalar;
      config_->settings_.push_back({fmt::format("{}.{}", path_of(key), entry.key), secret ? "***" : entry.value.scalar,
                                    Origin::file, entry.place.text(), "", "", true});
    } else {
      config_->problem(entry.place, fmt::format("{}.{}: expected a plain value, saw {}", path_of(key), entry.key,
                                                describe(entry.value)));
    }
  }
  return values;
}

// Decides which source counts; nothing when only the default is there. Every key becomes a Setting.
std::optional<Section::Found> Section::find(const std::string& key, const Key& about, const std::string& fallback) {
  config_->records_[record_].known.push_back(key);
  const std::string path = path_of(key);
  const std::string env = in_list_ ? "" : (about.env.empty() ? variable_name(path) : about.env);
  Setting setting{
      path, about.secret && !fallback.empty() ? "***" : fallback, Origin::built_in, "default", env, about.help, false};
  std::optional<Found> found;

  const auto* entry = node_ == nullptr ? nullptr : node_->find(key);
  if (entry != nullptr && entry->value.kind != Node::Kind::null) {
    found = Found{path, entry->place, entry->value.scalar, &entry->value};
    setting.origin = Origin::file;
    setting.from = entry->place.text();
  }
  if (!env.empty()) {
    if (auto value = config_->environment_(env)) {
      found = Found{path, {env, 0}, std::move(*value)};
      setting.origin = Origin::environment;
      setting.from = env;
    } else if (const auto file = about.secret ? config_->environment_(env + "_FILE") : std::nullopt) {
      // Where services get their secrets as files: Docker's /run/secrets, systemd's $CREDENTIALS_DIRECTORY.
      const Place place{env + "_FILE", 0};
      auto secret = first_line_of(*file);
      if (!secret) config_->problem(place, fmt::format("{}: {} cannot be read: {}", path, *file, secret.error().seen));
      found = Found{path, place, secret ? std::move(*secret) : ""};
      setting.origin = Origin::environment;
      setting.from = env + "_FILE";
    }
  }
  for (const auto& flag : config_->flags_) {
    if (flag.path != path) continue;
    config_->flags_used_.push_back(path);
    found = Found{path, {flag.option, 0}, flag.value};
    setting.origin = Origin::flag;
    setting.from = flag.option;
  }
  if (found) {
    setting.value = about.secret && !found->text.empty() ? "***" : without_secrets(found->text);
    setting.differs = found->text != fallback;  // where the values themselves can be compared, compare() does
    found->setting = config_->settings_.size();
  } else if (about.required) {
    config_->problem(node_ != nullptr ? node_->place : Place{"configuration", 0},
                     fmt::format("{} is missing{}{}", path, about.help.empty() ? "" : " (" + about.help + ")",
                                 env.empty() ? "" : "; set it in the file or by " + env));
  }
  config_->settings_.push_back(std::move(setting));
  return found;
}

void Section::compare(const Found& found, bool differs) { config_->settings_[found.setting].differs = differs; }

void Section::complain(const Found& found, const std::string& expected) {
  const bool secret = found.setting < config_->settings_.size() && config_->settings_[found.setting].value == "***";
  const std::string seen = secret                  ? "another value"
                           : found.node != nullptr ? describe(*found.node)
                           : config_->settings_[found.setting].value == "***"
                               ? "another value"
                               : "'" + shortened(without_secrets(found.text), 60) + "'";
  config_->problem(found.place, fmt::format("{}: expected {}, saw {}", found.path, expected, seen));
}

std::string Section::text(const std::string& key, const std::string& fallback, const Key& about) {
  const auto found = find(key, about, fallback);
  if (!found) return fallback;
  if (found->node == nullptr || found->node->kind == Node::Kind::scalar) return found->text;
  complain(*found, "a plain value");
  return fallback;
}

bool Section::boolean(const std::string& key, bool fallback, const Key& about) {
  const auto found = find(key, about, fallback ? "true" : "false");
  if (!found) return fallback;
  if (const auto value = parse_boolean(found->text)) {
    compare(*found, *value != fallback);
    return *value;
  }
  complain(*found, "true or false");
  return fallback;
}

std::int64_t Section::integer(const std::string& key, std::int64_t fallback, std::int64_t least, std::int64_t most,
                              const Key& about) {
  const auto found = find(key, about, std::to_string(fallback));
  if (!found) return fallback;
  std::int64_t value = 0;
  const char* end = found->text.data() + found->text.size();
  const auto parsed = std::from_chars(found->text.data(), end, value);
  if (parsed.ec == std::errc{} && parsed.ptr == end && value >= least && value <= most) {
    compare(*found, value != fallback);
    return value;
  }
  complain(*found, most == std::numeric_limits<std::int64_t>::max()
                       ? fmt::format("a whole number from {}", least)
                       : fmt::format("a whole number from {} to {}", least, most));
  return fallback;
}

double Section::number(const std::string& key, double fallback, double least, double most, const Key& about) {
  const auto found = find(key, about, fmt::format("{}", fallback));
  if (!found) return fallback;
  double value = 0;
  const char* end = found->text.data() + found->text.size();
  const auto parsed = std::from_chars(found->text.data(), end, value);
  if (parsed.ec == std::errc{} && parsed.ptr == end && value >= least && value <= most) {
    compare(*found, value < fallback || value > fallback);
    return value;
  }
  complain(*found, fmt::format("a number from {} to {}", least, most));
  return fallback;
}

std::chrono::milliseconds Section::duration(const std::string& key, std::chrono::milliseconds fallback,
                                            const Key& about) {
  const auto found = find(key, about, duration_text(fallback));
  if (!found) return fallback;
  if (const auto value = parse_duration(found->text, about.bare_seconds)) {
    compare(*found, *value != fallback);
    return *value;
  }
  complain(*found, about.bare_seconds ? "a duration like 250ms, 10s or 5m, or seconds"
                                      : "a duration like 250ms, 10s, 5m, 48h or 3d");
  return fallback;
}

std::uint64_t Section::size(const std::string& key, std::uint64_t fallback, const Key& about) {
  const auto found = find(key, about, size_text(fallback));
  if (!found) return fallback;
  if (const auto value = parse_size(found->text)) {
    compare(*found, *value != fallback);
    return *value;
  }
  complain(*found, "a size like 64KB, 256MB or 8GB");
  return fallback;
}

std::string Section::address(const std::string& key, const std::string& fallback, const Key& about) {
  const auto found = find(key, about, fallback);
  if (!found) return fallback;
  if (parse_address(found->text) || (found->text.empty() && fallback.empty())) return found->text;
  complain(*found, "host:port, like 127.0.0.1:8086");
  return fallback;
}

std::vector<std::string> Section::texts(const std::string& key, const std::vector<std::string>& fallback,
                                        const Key& about) {
  const auto found = find(key, about, fmt::format("{}", fmt::join(fallback, ", ")));
  if (!found) return fallback;
  if (found->node == nullptr) {
    auto values = split_list(found->text);
    compare(*found, values != fallback);
    return values;
  }
  if (found->node->kind != Node::Kind::list) {
    complain(*found, "a list, like [a, b]");
    return fallback;
  }
  std::vector<std::string> values;
  for (const auto& item : found->node->items) {
    if (item.kind == Node::Kind::scalar) {
      values.push_back(item.scalar);
    } else {
      config_->problem(item.place,
                       fmt::format("{}: expected a plain value in the list, saw {}", found->path, describe(item)));
    }
  }
  config_->settings_[found->setting].value = without_secrets(fmt::format("{}", fmt::join(values, ", ")));
  compare(*found, values != fallback);
  return values;
}

std::vector<Item> Section::items(const std::string& key, const Key& about) {
  std::vector<Item> items;
  const auto found = find(key, about, "");
  if (!found) return items;
  if (found->node == nullptr) {
    for (auto& value : split_list(found->text)) items.push_back({std::move(value), std::nullopt});
    return items;
  }
  if (found->node->kind != Node::Kind::list) {
    complain(*found, "a list, like [a, b]");
    return items;
  }
  std::vector<std::string> shown;
  for (std::size_t i = 0; i < found->node->items.size(); ++i) {
    const auto& item = found->node->items[i];
    const auto path = fmt::format("{}[{}]", path_of(key), i);
    if (item.kind == Node::Kind::scalar) {
      shown.push_back(item.scalar);
      items.push_back({item.scalar, std::nullopt});
    } else if (item.kind == Node::Kind::map) {
      shown.push_back("{…}");
      items.push_back({"", Section(*config_, &item, path, true)});
    } else {
      config_->problem(item.place,
                       fmt::format("{}: expected a plain value or a mapping, saw {}", path, describe(item)));
    }
  }
  config_->settings_[found->setting].value = fmt::format("{}", fmt::join(shown, ", "));
  compare(*found, !shown.empty());
  return items;
}

std::string Section::one_of(const std::string& key, const std::string& fallback,
                            const std::vector<std::string>& choices, const Key& about) {
  const auto found = find(key, about, fallback);
  if (!found) return fallback;
  if (std::find(choices.begin(), choices.end(), found->text) != choices.end()) return found->text;
  complain(*found, fmt::format("one of {}", fmt::join(choices, ", ")));
  if (const auto hint = did_you_mean(found->text, choices); !hint.empty()) config_->problems_.back().text += hint;
  return fallback;
}

std::vector<std::string> Section::some_of(const std::string& key, const std::vector<std::string>& fallback,
                                          const std::vector<std::string>& choices, const Key& about) {
  auto values = texts(key, fallback, about);
  for (const auto& value : values) {
    if (std::find(choices.begin(), choices.end(), value) != choices.end()) continue;
    refuse(key, fmt::format("expected some of {}, saw '{}'{}", fmt::join(choices, ", "), shortened(value, 60),
                            did_you_mean(value, choices)));
  }
  return values;
}

void Section::refuse(const std::string& key, const std::string& text) {
  const std::string path = path_of(key);
  Place place{"configuration", 0};
  for (const auto& setting : config_->settings_) {
    if (setting.path != path) continue;
    if (setting.origin == Origin::environment || setting.origin == Origin::flag)
      place = {setting.from, 0};
    else if (const auto* entry = node_ == nullptr ? nullptr : node_->find(key))
      place = entry->place;
  }
  if (place.line == 0 && place.file == "configuration" && node_ != nullptr) place = node_->place;
  config_->problem(place, path + ": " + text);
}

}  // namespace mp::config
