// A command line, one argument a line: it names a command, or is refused in one sentence; a key spec given on
// it becomes the body of a call, or is refused; and nothing that came from elsewhere is printed as a terminal
// would obey it.
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "absl/strings/str_split.h"
#include "cli/exit_code.h"
#include "cli/key_spec.h"
#include "cli/output.h"
#include "cli/parse.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace keyhold;       // NOLINT
  using namespace keyhold::cli;  // NOLINT
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto invocation = ParseArguments(absl::StrSplit(text, '\n', absl::SkipEmpty()));
  if (invocation.ok() ? invocation->command == nullptr && invocation->help.empty()
                      : ExitCodeOf(invocation.status()) != kUsage) {
    std::abort();
  }
  if (!text.starts_with('@')) {
    const auto spec = ParseKeySpec(text, {"us-east-1"});
    if (spec.ok() ? !spec->contains("region_specs") : ExitCodeOf(spec.status()) != kUsage) std::abort();
  }
  for (const unsigned char c : Printable(text)) {
    if (c < 0x20 || c == 0x7f) std::abort();
  }
  static_cast<void>(ShortTime(text));
  return 0;
}
