#include "app/cli.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <vector>

#include "base/text.hpp"

namespace mp::app {
namespace {

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names{"--help"};
  for (const auto* option : app.get_options()) {
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
  }
  for (const auto* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(sub->get_name());
    const auto inner = option_names(*sub);
    names.insert(names.end(), inner.begin(), inner.end());
  }
  return names;
}

// A second-level command that there is not: "journal lss".
std::string unknown_subcommand(const CLI::App& app, int argc, char** argv) {
  std::vector<std::string> names;
  for (const auto* sub : app.get_subcommands([](const CLI::App*) { return true; })) names.push_back(sub->get_name());
  if (names.empty() || argc < 2 || argv[1][0] == '-' || std::find(names.begin(), names.end(), argv[1]) != names.end())
    return "";
  const auto near = nearest(argv[1], names);
  return fmt::format(
      "no command '{}'; {}", argv[1],
      near.empty() ? fmt::format("there are {}", fmt::join(names, ", ")) : fmt::format("did you mean '{}'?", near));
}

// What the user typed that we do not know, and the nearest thing that we do.
std::string hint_for(const CLI::App& app, int argc, char** argv) {
  const auto known = option_names(app);
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const std::string name = word.substr(0, word.find('='));
    if (name.rfind("--", 0) != 0 || std::find(known.begin(), known.end(), name) != known.end()) continue;
    const auto near = nearest(name, known);
    return near.empty() ? "" : fmt::format("; did you mean {}?", near);
  }
  return "";
}

}  // namespace

std::unique_ptr<CLI::App> make_cli(const std::string& name, const std::string& description,
                                   const std::string& examples) {
  auto app = std::make_unique<CLI::App>(description, "marketprism " + name);
  app->footer("Examples:\n" + examples);
  app->option_defaults()->always_capture_default();
  return app;
}

std::optional<int> parse_cli(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", app.help());
    return 0;
  } catch (const CLI::CallForAllHelp&) {
    fmt::print("{}", app.help("", CLI::AppFormatMode::All));
    return 0;
  } catch (const CLI::ParseError& e) {
    if (const auto unknown = unknown_subcommand(app, argc, argv); !unknown.empty())
      fmt::print(stderr, "{}: {} (see --help)\n", app.get_name(), unknown);
    else
      fmt::print(stderr, "{}: {}{} (see --help)\n", app.get_name(), e.what(), hint_for(app, argc, argv));
    return 2;
  }
}

std::string no_such_market(const std::string& exchange, const std::vector<std::string>& markets,
                           const std::string& seen) {
  const bool has_none = markets.size() == 1 && markets.front().empty();
  if (has_none)
    return fmt::format("{} has no markets to choose from: leave it out, saw '{}'", exchange, shortened(seen, 60));
  const auto near = nearest(seen, markets);
  return fmt::format("{} has the markets {}, saw '{}'{}", exchange, fmt::join(markets, ", "), shortened(seen, 60),
                     near.empty() ? "" : "; did you mean '" + near + "'?");
}

Result<void> check_output(const std::string& option, const std::string& file) {
  if (file.empty()) return {};
  std::error_code ignored;
  const bool is_new = !std::filesystem::exists(file, ignored);
  if (std::filesystem::is_directory(file, ignored))
    return Error{Errc::usage, option, file + " is a folder; name a file"};
  errno = 0;
  std::FILE* out = std::fopen(file.c_str(), "ab");
  if (out == nullptr)
    return Error{Errc::usage, option, fmt::format("{} cannot be written: {}", file, std::strerror(errno))};
  std::fclose(out);
  if (is_new) std::filesystem::remove(file, ignored);
  return {};
}

int fail(const std::string& command, const std::string& text) {
  fmt::print(stderr, "marketprism {}: {}\n", command, text);
  return 1;
}

}  // namespace mp::app
