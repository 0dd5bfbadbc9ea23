#include "cli/run.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/exit_code.h"
#include "cli/output.h"
#include "cli/parse.h"
#include "cli/session.h"

namespace keyhold::cli {
namespace {

Status Execute(const Invocation& invocation, Environment& environment) {
  const OutputOptions options{invocation.json, invocation.quiet, invocation.hide_header,
                              environment.err_is_terminal, environment.color};
  Output output(environment.out, environment.err, options);
  Session session(environment, output);
  try {
    return invocation.command->handler(session, invocation.arguments);
  } catch (const nlohmann::json::exception& e) {  // a field of another type than the API's
    return Error(Cause::kCorrupt, std::string("the server's answer is not the Cloud API's: ") + e.what());
  }
}

Status RunChecked(const std::vector<std::string>& arguments, Environment& environment) {
  KEYHOLD_ASSIGN_OR_RETURN(const Invocation invocation, ParseArguments(arguments));
  if (invocation.command != nullptr) return Execute(invocation, environment);
  environment.out << invocation.help << std::flush;
  return OkStatus();
}

// A message may have a policy statement on lines of its own; all else stays one line.
void PrintError(const Status& status, Environment& environment) {
  std::string text(status.message());
  std::string lines;
  for (size_t start = 0; start <= text.size();) {
    const size_t end = std::min(text.find('\n', start), text.size());
    lines += Printable(text.substr(start, end - start)) + "\n";
    start = end + 1;
  }
  environment.err << (environment.color ? "\x1b[31mError:\x1b[0m " : "Error: ") << lines << std::flush;
}

}  // namespace

int Run(const std::vector<std::string>& arguments, Environment& environment) {
  const Status status = RunChecked(arguments, environment);
  if (!status.ok()) PrintError(status, environment);
  return ExitCodeOf(status);
}

}  // namespace keyhold::cli
