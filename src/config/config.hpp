#pragma once
// Typed configuration with precedence flag > environment > file > default, and complaints that name the place, what
// was seen and the nearest thing that we know. A service reads its struct key by key; reading declares the key:
//
//   Config config(*load_yaml(path), process_environment(), {{"nats.url", url, "--nats"}});
//   auto nats = config.root().section("nats");
//   settings.nats_url = nats.text("url", "nats://127.0.0.1:4222", {.help = "where the bus is", .env = "NATS_URL"});
//   for (auto& item : config.root().list("exchanges")) {
//     exchange.name = item.text("name", "", {.help = "the venue", .required = true});
//     exchange.symbols = item.texts("symbols", {});
//   }
//   if (auto ok = config.finish(); !ok) return ok.error();     // every problem at once, one per line
//
// Each key has one environment variable: MARKETPRISM_<SECTION>_<KEY>, or the one that it names. A variable that
// is set but empty counts as not set (Compose files pass unset ones on so). Keys inside lists have none. A secret may
// also stand in a file, which the variable with _FILE behind its name then names (NATS_PASSWORD_FILE).
// After finish() a key that nobody asked for has been refused.

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "config/document.hpp"

namespace mp::config {

enum class Origin { built_in, file, environment, flag };
const char* to_string(Origin origin);

// One key as it is in effect: what `marketprism config show` prints.
struct Setting {
  std::string path;   // "nats.url", "exchanges[0].name"
  std::string value;  // "***" for a secret, and in the place of those in an address
  Origin origin = Origin::built_in;
  std::string from;  // "collector.yaml:12", "NATS_URL", "--nats", "default"
  std::string env;   // the variable that sets it; "" inside lists
  std::string help;
  bool differs = false;  // its value from the default's; one that is set to the default does not
};

struct Flag {
  std::string path;  // which key it sets
  std::string value;
  std::string option;  // "--nats": for messages
};

using Environment = std::function<std::optional<std::string>(const std::string& name)>;
Environment process_environment();

// How a key is declared, beside its name, type and default.
struct Key {
  std::string help{};
  std::string env{};  // "": MARKETPRISM_<SECTION>_<KEY>
  bool required = false;
  bool secret = false;
  bool bare_seconds = false;  // durations: a number without unit means seconds (the guide's `timeout: 10.0`)
};

class Config;
struct Item;

// A mapping of the file, or its absence. A cheap handle; its Config must outlive it.
class Section {
 public:
  bool present() const;       // stands in the file
  std::string where() const;  // "collector.yaml:12 (exchanges[0])": for complaints of the service itself
  const std::string& path() const { return path_; }
  std::vector<std::string> keys() const;  // as in the file

  Section section(const std::string& key);
  std::vector<Section> list(const std::string& key);  // of mappings
  // Of free names to plain values; `secret`: values are never shown.
  std::map<std::string, std::string> table(const std::string& key, bool secret = false);

  std::string text(const std::string& key, const std::string& fallback, const Key& about = {});
  bool boolean(const std::string& key, bool fallback, const Key& about = {});
  std::int64_t integer(const std::string& key, std::int64_t fallback, std::int64_t least = 0,
                       std::int64_t most = std::numeric_limits<std::int64_t>::max(), const Key& about = {});
  double number(const std::string& key, double fallback, double least, double most, const Key& about = {});
  // "250ms", "10s", "5m", "48h", "3d".
  std::chrono::milliseconds duration(const std::string& key, std::chrono::milliseconds fallback, const Key& about = {});
  // "64KB", "256MB", "8GB" (powers of 1024), "1048576" bytes.
  std::uint64_t size(const std::string& key, std::uint64_t fallback, const Key& about = {});
  // host:port, [v6]:port, or "" where that is the default.
  std::string address(const std::string& key, const std::string& fallback, const Key& about = {});
  // A list of plain values; in a variable or flag: separated by commas.
  std::vector<std::string> texts(const std::string& key, const std::vector<std::string>& fallback,
                                 const Key& about = {});
  // A list of plain values and mappings, in its order; in a variable or flag: values, separated by commas.
  std::vector<Item> items(const std::string& key, const Key& about = {});
  // One of `choices`; otherwise the nearest one is named.
  std::string one_of(const std::string& key, const std::string& fallback, const std::vector<std::string>& choices,
                     const Key& about = {});
  // Each of a list one of `choices`.
  std::vector<std::string> some_of(const std::string& key, const std::vector<std::string>& fallback,
                                   const std::vector<std::string>& choices, const Key& about = {});

  // A complaint of the service about a value that was read: "collector.yaml:14: exchanges[0].symbols: <text>".
  void refuse(const std::string& key, const std::string& text);

 private:
  friend class Config;
  struct Found;
  Section(Config& config, const Node* node, std::string path, bool in_list);
  std::optional<Found> find(const std::string& key, const Key& about, const std::string& fallback);
  void compare(const Found& found, bool differs);
  void complain(const Found& found, const std::string& expected);
  const Node* child(const std::string& key, Node::Kind kind, const char* expected);
  std::string path_of(const std::string& key) const;

  Config* config_;
  const Node* node_;  // null when absent
  std::string path_;
  bool in_list_;
  std::size_t record_;  // in Config: the keys that were asked for
};

// One of a list: a plain value, or a mapping.
struct Item {
  std::string value;  // "" when it is a mapping
  std::optional<Section> mapping;
};

class Config {
 public:
  explicit Config(Node root, Environment environment = process_environment(), std::vector<Flag> flags = {});
  Config(const Config&) = delete;
  Config& operator=(const Config&) = delete;

  Section root();
  // Errc::usage when anything was refused; the text has one problem per line, in file order.
  Result<void> finish();
  const std::vector<Setting>& settings() const { return settings_; }

 private:
  friend class Section;
  struct Record {
    const Node* node;
    std::string path;
    std::vector<std::string> known;
  };
  struct Problem {
    int line;
    std::string text;
  };
  void problem(const Place& place, const std::string& text);
  void refuse_unknown_keys();
  void refuse_unused_flags();

  Node root_;
  Environment environment_;
  std::vector<Flag> flags_;
  std::vector<std::string> flags_used_;
  std::vector<Record> records_;
  std::vector<Setting> settings_;
  std::vector<Problem> problems_;
};

// The parsers of single values; nothing when the text is not one.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text, bool bare_seconds = false);
std::optional<std::uint64_t> parse_size(std::string_view text);
std::optional<bool> parse_boolean(std::string_view text);
// The number of host:port; nothing when it is not one.
std::optional<std::pair<std::string, std::uint16_t>> parse_address(std::string_view text);
// An address as it may be shown: nats://user:word@host -> nats://***@host, …?password=word -> …?password=***.
std::string without_secrets(std::string_view text);
std::string duration_text(std::chrono::milliseconds duration);
std::string size_text(std::uint64_t bytes);

}  // namespace mp::config
