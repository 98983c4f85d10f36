#pragma once
// Several files, or a folder of them, as one configuration.

#include <string>
#include <vector>

#include "base/result.hpp"
#include "config/document.hpp"

namespace mp::config {

// One mapping of all parts: sections (mappings) of one name are joined, anything else may stand in one part only.
// Errc::usage names both places otherwise.
Result<Node> joined(std::vector<Node> parts);

// Files are read as they are; of a folder every *.yaml and *.yml in it and below (hidden ones left out), in the order
// of their paths. No paths: an empty mapping. Errors as load_yaml(), and Errc::usage for a folder without such a file.
Result<Node> load_files(const std::vector<std::string>& paths);

}  // namespace mp::config
