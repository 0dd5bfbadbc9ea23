#include "cli/parse.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/exit_code.h"

namespace keyhold::cli {
namespace {

struct Globals {
  std::string output = "standard";
  bool quiet = false;
  bool hide_header = false;
};

// Made anew for each parse: the tree of CLI11, and which leaf is which row.
struct Tree {
  std::unique_ptr<CLI::App> root =
      std::make_unique<CLI::App>("ccloud: clusters whose data opens only with your own key", "ccloud");
  std::map<std::string, CLI::App*> apps = {{"", root.get()}};
  std::map<const CLI::App*, const Command*> rows;
  Globals globals;
};

void AddGlobals(CLI::App& app, Globals& globals) {
  app.add_option("-o,--output", globals.output, "How to print")
      ->check(CLI::IsMember({"standard", "json"}))
      ->option_text("standard|json");
  app.add_flag("-q,--quiet", globals.quiet, "No progress");
  app.add_flag("--hide-header", globals.hide_header, "No heading above tables");
}

void AddPositional(CLI::App& app, const Positional& positional) {
  CLI::Option* option = app.add_option(positional.name, positional.help);
  const bool many = positional.count == Positional::kSeveral || positional.count == Positional::kAny;
  if (positional.count == Positional::kOne || positional.count == Positional::kSeveral) option->required();
  if (many) option->expected(1, 100)->allow_extra_args();  // a minimum of 0 would take none
}

// A|B|C in the value's name lists all that it may be.
void AddOption(CLI::App& app, const Option& row) {
  const std::string names = row.short_name.empty() ? row.name : absl::StrCat(row.short_name, ",", row.name);
  if (row.value.empty()) {
    app.add_flag(names, row.help);
    return;
  }
  CLI::Option* option = app.add_option(names, row.help)->option_text(row.value);
  option->required(row.required);
  if (row.repeatable) option->expected(1, 100)->allow_extra_args(false)->take_all();
  const std::vector<std::string> choices = absl::StrSplit(row.value, '|');
  if (choices.size() > 1) option->check(CLI::IsMember(std::set<std::string>(choices.begin(), choices.end())));
}

CLI::App* AppAt(Tree& tree, const std::string& path) {
  const auto found = tree.apps.find(path);
  if (found != tree.apps.end()) return found->second;
  const size_t space = path.rfind(' ');
  CLI::App* parent = AppAt(tree, space == std::string::npos ? "" : path.substr(0, space));
  CLI::App* app =
      parent->add_subcommand(path.substr(space == std::string::npos ? 0 : space + 1), GroupSummary(path));
  tree.apps[path] = app;
  return app;
}

void Build(Tree& tree) {
  for (const Command& row : AllCommands()) {
    CLI::App* app = AppAt(tree, row.path);
    app->description(row.summary);
    app->footer(absl::StrCat("\nExamples:\n  ", absl::StrJoin(absl::StrSplit(row.example, '\n'), "\n  ")));
    for (const Positional& positional : row.positionals) AddPositional(*app, positional);
    for (const Option& option : row.options) AddOption(*app, option);
    AddGlobals(*app, tree.globals);
    tree.rows[app] = &row;
  }
  for (const auto& [path, app] : tree.apps) {
    if (!tree.rows.contains(app)) app->require_subcommand(1);
  }
  AddGlobals(*tree.root, tree.globals);
  tree.root->footer(absl::StrCat("\n", kExitCodes));
}

const CLI::App* Chosen(const CLI::App* app) {
  while (!app->get_subcommands().empty()) app = app->get_subcommands().front();
  return app;
}

Arguments ArgumentsOf(const CLI::App& app, const Command& row) {
  std::map<std::string, std::vector<std::string>> values;
  const auto take = [&](const std::string& name) {
    const CLI::Option* option = app.get_option(name);
    if (option->count() > 0) values[name] = option->results();
  };
  for (const Positional& positional : row.positionals) take(positional.name);
  for (const Option& option : row.options) take(option.name);
  return Arguments(std::move(values));
}

}  // namespace

StatusOr<Invocation> ParseArguments(const std::vector<std::string>& arguments) {
  Tree tree;
  Build(tree);
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  try {
    tree.root->parse(std::move(reversed));
  } catch (const CLI::CallForHelp&) {
    return Invocation{.help = tree.root->help()};
  } catch (const CLI::ParseError& e) {
    const CLI::App* app = Chosen(tree.root.get());
    std::string path = app->get_name();
    for (const auto* up = app->get_parent(); up != nullptr; up = up->get_parent())
      path = absl::StrCat(up->get_name(), " ", path);
    return UsageError(absl::StrCat(e.what(), "; see: ", path, " --help"));
  }
  const CLI::App* app = Chosen(tree.root.get());
  const Command& row = *tree.rows.at(app);
  Invocation invocation{&row, ArgumentsOf(*app, row)};
  invocation.json = tree.globals.output == "json";
  invocation.quiet = tree.globals.quiet;
  invocation.hide_header = tree.globals.hide_header;
  return invocation;
}

}  // namespace keyhold::cli
