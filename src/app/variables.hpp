#pragma once
// Environment variables with our prefix that nothing reads: a mistyped one would go unnoticed.

#include <map>
#include <string>
#include <vector>

#include "config/config.hpp"

namespace mp::app {

struct UnknownVariable {
  std::string name;
  std::string near;  // the nearest one that is read; "" when none is like it
};

// Of `names`, those with our prefix that no part of the program, its tools or its tests reads.
std::vector<UnknownVariable> unknown_variables(const std::vector<std::string>& names);
// "MARKETPRISM_COLECTOR_X (did you mean …?), …"; "" when all of this process are known.
std::string unknown_variables_text();
// The variables of this process that the services' configuration reads, and those that say where proxies, nats-server
// and libchdb are. Of those that hold a secret the names only.
struct SetVariables {
  std::map<std::string, std::string> values;
  std::vector<std::string> secrets;
};
SetVariables set_variables(const config::Environment& environment = config::process_environment());

// One warning at the start of a part.
void warn_about_variables();

}  // namespace mp::app
