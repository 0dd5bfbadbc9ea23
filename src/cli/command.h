// The command tree as a table: each row is one command with its arguments, help and handler. Parsing, --help
// and shell completion are made from it (parse.h, completion.h).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/status.h"

namespace keyhold::cli {

class Session;

// The arguments of one command line, by the names of the command's row ("NAME", "--cloud").
class Arguments {
 public:
  explicit Arguments(std::map<std::string, std::vector<std::string>> values) : values_(std::move(values)) {}

  // True for a flag that was given, and for an option or positional with a value.
  bool Has(const std::string& name) const { return values_.contains(name); }
  // The (last) value; `otherwise` when it was left out.
  std::string Text(const std::string& name, const std::string& otherwise = "") const {
    const auto found = values_.find(name);
    return found == values_.end() || found->second.empty() ? otherwise : found->second.back();
  }
  // All values of a positional or an option that takes several.
  std::vector<std::string> List(const std::string& name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? std::vector<std::string>() : found->second;
  }

 private:
  std::map<std::string, std::vector<std::string>> values_;
};

struct Positional {
  std::string name;  // "NAME"
  std::string help;
  enum Count { kOne, kOptional, kSeveral, kAny } count = kOne;  // kSeveral: at least one; kAny: none too
};

struct Option {
  std::string name;   // "--cloud"
  std::string value;  // "AWS|GCP|AZURE", "SPEC"; empty for a flag
  std::string help;
  std::string short_name = "";  // "-u", or empty
  bool required = false;
  bool repeatable = false;  // each time with one value; Arguments::List() has them
};

struct Command {
  std::string path;  // "cluster cmek get"
  std::string summary;
  std::string example;  // whole command lines, one per line
  std::vector<Positional> positionals;
  std::vector<Option> options;
  Status (*handler)(Session& session, const Arguments& arguments);
};

// Every command, in the order in which help shows them.
const std::vector<Command>& AllCommands();

// What a group ("cluster cmek") is for; the words of one line of help.
std::string GroupSummary(const std::string& path);

}  // namespace keyhold::cli
