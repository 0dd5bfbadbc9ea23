#include "cli/completion.h"

#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/command.h"

namespace keyhold::cli {
namespace {

using Words = std::map<std::string, std::set<std::string>>;  // path -> what may follow it

// The words after each path: subcommands of a group, options of a command.
Words NextWords() {
  Words next;
  for (const Command& command : AllCommands()) {
    std::string path;
    for (const absl::string_view word : absl::StrSplit(command.path, ' ')) {
      next[path].insert(std::string(word));
      path = path.empty() ? std::string(word) : absl::StrCat(path, " ", word);
    }
    std::set<std::string>& options = next[path];
    for (const Option& option : command.options) options.insert(option.name);
    options.insert({"--output", "--quiet", "--hide-header", "--help"});
  }
  return next;
}

std::string Cases(const Words& next, const std::string& indent) {
  std::string text;
  for (const auto& [path, words] : next)
    absl::StrAppend(&text, indent, "\"", path, "\") words=\"", absl::StrJoin(words, " "), "\" ;;\n");
  return text;
}

std::string KnownPaths(const Words& next) {
  std::vector<std::string> paths;
  for (const auto& [path, words] : next) {
    if (!path.empty()) paths.push_back(absl::StrCat("\"", path, "\""));
  }
  return absl::StrJoin(paths, "|");
}

}  // namespace

std::string BashCompletion() {
  const Words next = NextWords();
  return absl::StrCat(
      "# bash completion for ccloud: source <(ccloud completion bash)\n"
      "_ccloud() {\n"
      "  local path=\"\" words=\"\" step i\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    step=\"${path:+$path }${COMP_WORDS[i]}\"\n"
      "    case \"$step\" in ",
      KnownPaths(next),
      ") path=\"$step\" ;; esac\n"
      "  done\n"
      "  case \"$path\" in\n",
      Cases(next, "    "),
      "  esac\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
      "}\n"
      "complete -F _ccloud ccloud\n");
}

std::string ZshCompletion() {
  return absl::StrCat(
      "#compdef ccloud\n# zsh completion for ccloud: source <(ccloud completion zsh)\n"
      "autoload -U +X bashcompinit && bashcompinit\n",
      BashCompletion());
}

std::string FishCompletion() {
  const Words next = NextWords();
  std::string text =
      "# fish completion for ccloud: ccloud completion fish | source\n"
      "function __ccloud_at\n"
      "  set -l path\n"
      "  for word in (commandline -opc)[2..-1]\n"
      "    set -l step (string join ' ' $path $word)\n"
      "    contains -- $step $__ccloud_paths; and set path $step\n"
      "  end\n"
      "  test \"$path\" = \"$argv[1]\"\n"
      "end\n"
      "set -g __ccloud_paths";
  for (const auto& [path, words] : next) {
    if (!path.empty()) absl::StrAppend(&text, " '", path, "'");
  }
  absl::StrAppend(&text, "\ncomplete -c ccloud -f\n");
  for (const auto& [path, words] : next) {
    absl::StrAppend(&text, "complete -c ccloud -n \"__ccloud_at '", path, "'\" -a '",
                    absl::StrJoin(words, " "), "'\n");
  }
  return text;
}

}  // namespace keyhold::cli
