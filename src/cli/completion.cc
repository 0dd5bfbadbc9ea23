#include "cli/completion.h"

#include <map>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "cli/command.h"

namespace keyhold::cli {
namespace {

using Words = std::set<std::string>;

// What may be typed, from the command table.
struct Grammar {
  std::map<std::string, Words> next;    // path -> subcommands of a group, options of a command
  std::map<std::string, Words> values;  // "path --option" -> what it may be
  Words named;                          // commands whose first argument is a cluster that is there
};

void AddOptions(const Command& command, Grammar& grammar) {
  Words& options = grammar.next[command.path];
  for (const Option& option : command.options) {
    options.insert(option.name);
    if (!absl::StrContains(option.value, '|')) continue;
    const std::vector<std::string> values = absl::StrSplit(option.value, '|');
    grammar.values[absl::StrCat(command.path, " ", option.name)].insert(values.begin(), values.end());
  }
  options.insert({"--output", "--quiet", "--hide-header", "--help"});
  grammar.values[absl::StrCat(command.path, " --output")] = {"standard", "json"};
}

Grammar MakeGrammar() {
  Grammar grammar;
  for (const Command& command : AllCommands()) {
    std::string path;
    for (const absl::string_view word : absl::StrSplit(command.path, ' ')) {
      grammar.next[path].insert(std::string(word));
      path = path.empty() ? std::string(word) : absl::StrCat(path, " ", word);
    }
    AddOptions(command, grammar);
    const bool named = !command.positionals.empty() && command.positionals.front().name == "NAME";
    if (named) grammar.named.insert(command.path);
  }
  return grammar;
}

std::string Cases(const std::map<std::string, Words>& rows, const std::string& then) {
  std::string text;
  for (const auto& [path, words] : rows) {
    absl::StrAppend(&text, "    \"", path, "\") words=\"", absl::StrJoin(words, " "), "\"", then, " ;;\n");
  }
  return text;
}

std::string Alternatives(const std::map<std::string, Words>& rows) {
  std::vector<std::string> paths;
  for (const auto& [path, words] : rows) {
    if (!path.empty()) paths.push_back(absl::StrCat("\"", path, "\""));
  }
  return absl::StrJoin(paths, "|");
}

// No variable is called path: zsh ties that to PATH.
constexpr char kBash[] = R"sh(# bash completion for ccloud: source <(ccloud completion bash)
_ccloud_clusters() {
  ccloud cluster list -q --hide-header 2>/dev/null | while read -r name _; do echo "$name"; done
}
_ccloud() {
  local at="" words="" values="" step i cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" arguments=0
  for ((i = 1; i < COMP_CWORD; i++)); do
    step="${at:+$at }${COMP_WORDS[i]}"
    case "$step" in
      @PATHS@) at="$step" ;;
      *) arguments=$((arguments + 1)) ;;
    esac
  done
  case "$at $prev" in
@VALUES@  esac
  if [ -n "$values" ]; then
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    return
  fi
  case "$at" in
@NEXT@  esac
  case "$at" in
    @NAMED@)
      if [ "$arguments" = 0 ] && [[ "$cur" != -* ]]; then words="$words $(_ccloud_clusters)"; fi
      ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -F _ccloud ccloud
)sh";

constexpr char kFish[] = R"sh(# fish completion for ccloud: ccloud completion fish | source
set -g __ccloud_paths @PATHS@
set -g __ccloud_named @NAMED@
function __ccloud_path
  set -l path
  for word in (commandline -opc)[2..-1]
    set -l step (string join -- ' ' $path $word)
    contains -- "$step" $__ccloud_paths; and set path $step
  end
  echo "$path"
end
function __ccloud_at
  test (__ccloud_path) = "$argv[1]"
end
function __ccloud_after
  test (__ccloud_path)" "(commandline -opc)[-1] = "$argv[1]"
end
function __ccloud_names
  contains -- (__ccloud_path) $__ccloud_named; and ccloud cluster list -q --hide-header 2>/dev/null | string replace -r ' .*' ''
end
complete -c ccloud -f
complete -c ccloud -a '(__ccloud_names)'
)sh";

}  // namespace

std::string BashCompletion() {
  const Grammar grammar = MakeGrammar();
  std::vector<std::string> named;
  for (const std::string& path : grammar.named) named.push_back(absl::StrCat("\"", path, "\""));
  return absl::StrReplaceAll(kBash, {{"@PATHS@", Alternatives(grammar.next)},
                                     {"@VALUES@", Cases(grammar.values, " values=1")},
                                     {"@NEXT@", Cases(grammar.next, "")},
                                     {"@NAMED@", absl::StrJoin(named, "|")}});
}

std::string ZshCompletion() {
  return absl::StrCat(
      "#compdef ccloud\n# zsh completion for ccloud: source <(ccloud completion zsh)\n"
      "(( $+functions[compdef] )) || { autoload -U compinit && compinit -u }\n"
      "autoload -U +X bashcompinit && bashcompinit\n",
      BashCompletion());
}

std::string FishCompletion() {
  const Grammar grammar = MakeGrammar();
  const auto quoted = [](std::string* out, const std::string& path) { absl::StrAppend(out, "'", path, "'"); };
  std::vector<std::string> paths;
  for (const auto& [path, words] : grammar.next) {
    if (!path.empty()) paths.push_back(path);
  }
  std::string text = absl::StrReplaceAll(kFish, {{"@PATHS@", absl::StrJoin(paths, " ", quoted)},
                                                 {"@NAMED@", absl::StrJoin(grammar.named, " ", quoted)}});
  for (const auto& [path, words] : grammar.next) {
    absl::StrAppend(&text, "complete -c ccloud -n \"__ccloud_at '", path, "'\" -a '",
                    absl::StrJoin(words, " "), "'\n");
  }
  for (const auto& [path, words] : grammar.values) {
    absl::StrAppend(&text, "complete -c ccloud -n \"__ccloud_after '", path, "'\" -a '",
                    absl::StrJoin(words, " "), "'\n");
  }
  return text;
}

}  // namespace keyhold::cli
