#include <nlohmann/json.hpp>

#include "cli/commands/groups.h"
#include "cli/completion.h"
#include "cli/man.h"
#include "cli/session.h"

namespace keyhold::cli {
namespace {

constexpr char kVersion[] = "0.1.0";
constexpr char kApiVersion[] = "2024-09-16";

Status Version(Session& session, const Arguments&) {
  if (session.output().json()) {
    session.output().Json({{"ccloud", kVersion}, {"api", kApiVersion}});
    return OkStatus();
  }
  session.output().Line(std::string("ccloud ") + kVersion + " (Keyhold)");
  session.output().Line(std::string("CCAPI  ") + kApiVersion);
  return OkStatus();
}

template <std::string (*script)()>
Status Print(Session& session, const Arguments&) {
  session.environment().out << script() << std::flush;
  return OkStatus();
}

}  // namespace

std::vector<Command> ShellCommands() {
  return {
      {"version", "Show ccloud's version", "ccloud version", {}, {}, Version},
      {"man", "Print the manual page", "ccloud man | man -l -", {}, {}, Print<ManPage>},
      {"completion bash", "For bash", "source <(ccloud completion bash)", {}, {}, Print<BashCompletion>},
      {"completion zsh", "For zsh", "source <(ccloud completion zsh)", {}, {}, Print<ZshCompletion>},
      {"completion fish", "For fish", "ccloud completion fish | source", {}, {}, Print<FishCompletion>},
  };
}

}  // namespace keyhold::cli
