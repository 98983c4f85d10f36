#include "config/files.hpp"

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace mp::config {
namespace {

namespace fs = std::filesystem;

Result<void> join(Node& into, Node&& part, const std::string& path) {
  for (auto& entry : part.entries) {
    const auto name = path.empty() ? entry.key : path + "." + entry.key;
    const auto known = std::ranges::find(into.entries, entry.key, &Node::Entry::key);
    if (known == into.entries.end()) {
      into.entries.push_back(std::move(entry));
    } else if (known->value.kind == Node::Kind::map && entry.value.kind == Node::Kind::map) {
      if (auto done = join(known->value, std::move(entry.value), name); !done) return done;
    } else {
      return Error{Errc::usage, entry.place.text(),
                   "key '" + name + "' stands here again; first in " + known->place.text() + ": remove one of them"};
    }
  }
  return {};
}

bool is_hidden(const fs::path& path) { return path.filename().string().starts_with("."); }

Result<std::vector<std::string>> files_in(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code error;
  fs::recursive_directory_iterator at(folder, error), end;
  while (!error && at != end) {
    const auto path = at->path();
    if (is_hidden(path)) {
      // Kubernetes' and editors' own; a mounted ConfigMap's files are links beside it.
      if (at->is_directory(error)) at.disable_recursion_pending();
    } else if ((path.extension() == ".yaml" || path.extension() == ".yml") && at->is_regular_file(error)) {
      files.push_back(path.string());
    }
    at.increment(error);
  }
  if (error) return Error{Errc::io, "configuration folder " + folder, error.message()};
  if (files.empty()) return Error{Errc::usage, "configuration folder " + folder, "holds no *.yaml file"};
  std::ranges::sort(files);
  return files;
}

}  // namespace

Result<Node> joined(std::vector<Node> parts) {
  Node whole;
  whole.kind = Node::Kind::map;
  if (!parts.empty()) whole.place = parts.front().place;
  for (auto& part : parts)
    if (auto done = join(whole, std::move(part), ""); !done) return done.error();
  return whole;
}

Result<Node> load_files(const std::vector<std::string>& paths) {
  std::vector<Node> parts;
  for (const auto& path : paths) {
    std::vector<std::string> files{path};
    std::error_code ignored;
    if (fs::is_directory(path, ignored)) {
      auto found = files_in(path);
      if (!found) return found.error();
      files = std::move(*found);
    }
    for (const auto& file : files) {
      auto loaded = load_yaml(file);
      if (!loaded) return loaded.error();
      parts.push_back(std::move(*loaded));
    }
  }
  return joined(std::move(parts));
}

}  // namespace mp::config
