#pragma once
// A YAML file as plain values that remember where they stand, so that every complaint can name file and line.

#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace mp::config {

struct Place {
  std::string file;
  int line = 0;  // from 1; 0 when it is not from a file

  std::string text() const { return line == 0 ? file : file + ":" + std::to_string(line); }
};

struct Node {
  enum class Kind { null, scalar, list, map };
  struct Entry;

  Kind kind = Kind::null;
  std::string scalar{};  // as written, without quotes
  std::vector<Node> items{};
  std::vector<Entry> entries{};  // in file order, keys unique
  Place place{};

  const Entry* find(const std::string& key) const;
};

struct Node::Entry {
  std::string key;
  Place place;  // of the key
  Node value;
};

// "a mapping", "a list", "nothing", or the scalar itself in quotes, shortened: for messages.
std::string describe(const Node& node);

// Errc::usage with file:line for what is not YAML, a key that stands twice, or more than 100 000 values
// (aliases that multiply). An empty text is an empty mapping.
Result<Node> parse_yaml(const std::string& text, const std::string& file_name);
// Errc::unavailable when there is no such file, Errc::io when it cannot be read.
Result<Node> load_yaml(const std::string& path);

}  // namespace mp::config
