#include "config/document.hpp"

#include <yaml-cpp/yaml.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "base/text.hpp"

namespace mp::config {
namespace {

constexpr int kMaxValues = 100'000;
constexpr int kMaxDepth = 64;

// Copies yaml-cpp's tree; throws Error.
class Copier {
 public:
  explicit Copier(std::string file) : file_(std::move(file)) {}

  Node copy(const YAML::Node& from, int depth = 0) {
    if (++values_ > kMaxValues || depth > kMaxDepth) {
      throw Error{Errc::usage, place(from).text(), "too many values, or nested too deeply"};
    }
    Node node;
    node.place = place(from);
    switch (from.Type()) {
      case YAML::NodeType::Undefined:
      case YAML::NodeType::Null: break;
      case YAML::NodeType::Scalar:
        node.kind = Node::Kind::scalar;
        node.scalar = from.Scalar();
        break;
      case YAML::NodeType::Sequence:
        node.kind = Node::Kind::list;
        for (const auto& item : from) node.items.push_back(copy(item, depth + 1));
        break;
      case YAML::NodeType::Map:
        node.kind = Node::Kind::map;
        for (const auto& entry : from) add_entry(node, entry.first, entry.second, depth);
        break;
    }
    return node;
  }

 private:
  void add_entry(Node& map, const YAML::Node& key, const YAML::Node& value, int depth) {
    if (!key.IsScalar()) throw Error{Errc::usage, place(key).text(), "a key must be a plain word"};
    if (const auto* first = map.find(key.Scalar())) {
      throw Error{Errc::usage, place(key).text(),
                  "key '" + key.Scalar() + "' stands here again; first in line " + std::to_string(first->place.line)};
    }
    map.entries.push_back({key.Scalar(), place(key), copy(value, depth + 1)});
  }

  Place place(const YAML::Node& node) const { return {file_, node.Mark().line + 1}; }

  std::string file_;
  int values_ = 0;
};

}  // namespace

const Node::Entry* Node::find(const std::string& key) const {
  for (const auto& entry : entries) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

std::string describe(const Node& node) {
  switch (node.kind) {
    case Node::Kind::null: return "nothing";
    case Node::Kind::scalar: return "'" + shortened(node.scalar, 60) + "'";
    case Node::Kind::list: return "a list";
    case Node::Kind::map: return "a mapping";
  }
  return "?";
}

Result<Node> parse_yaml(const std::string& text, const std::string& file_name) {
  try {
    Node root = Copier(file_name).copy(YAML::Load(text));
    if (root.kind == Node::Kind::null) {
      root.kind = Node::Kind::map;
      root.place = {file_name, 1};
    }
    if (root.kind != Node::Kind::map) {
      return Error{Errc::usage, root.place.text(), "the file must be a mapping (key: value), but is " + describe(root)};
    }
    return root;
  } catch (const YAML::Exception& e) {
    return Error{Errc::usage, Place{file_name, e.mark.line + 1}.text(), "not YAML: " + e.msg};
  } catch (const Error& e) {
    return e;
  }
}

Result<Node> load_yaml(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    return Error{errno == ENOENT ? Errc::unavailable : Errc::io, "configuration file " + path, std::strerror(errno)};
  }
  std::stringstream text;
  text << file.rdbuf();
  if (file.bad()) return Error{Errc::io, "configuration file " + path, std::strerror(errno)};
  return parse_yaml(text.str(), path);
}

}  // namespace mp::config
