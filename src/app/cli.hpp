#pragma once
// How every subcommand reads its command line: --help with examples, exit status 2 with the nearest
// known option on a mistake. Heavy (CLI11): include it in cmd_*.cpp only.

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace mp::app {

// A CLI::App with the project's habits. `examples` is printed at the end of --help, one per line.
std::unique_ptr<CLI::App> make_cli(const std::string& name, const std::string& description,
                                   const std::string& examples);

// Nothing when parsing succeeded; otherwise the exit status (0 after --help, 2 after a mistake, which has
// been told on standard error).
std::optional<int> parse_cli(CLI::App& app, int argc, char** argv);

// What an exchange offers for NAME:MARKET or a market's option: "okx has the markets spot, swap, not 'foo'".
std::string no_such_market(const std::string& exchange, const std::vector<std::string>& markets,
                           const std::string& seen);

// Errc::usage when the file that a command is to write at its end cannot be: told before anything runs. "": none is
// asked for.
Result<void> check_output(const std::string& option, const std::string& file);

// One line on standard error, "marketprism <command>: <text>", and exit status 1.
int fail(const std::string& command, const std::string& text);

}  // namespace mp::app
