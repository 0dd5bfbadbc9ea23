// Whatever a server answers: it is a JSON object that can be printed, or is told as an error; and nothing of
// it is printed as a terminal would obey it. The first byte chooses the status.
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/text.h"
#include "cli/api_client.h"
#include "cli/cluster_view.h"
#include "cli/cmek.h"
#include "cli/output.h"

namespace {

using namespace keyhold;       // NOLINT
using namespace keyhold::cli;  // NOLINT

// As Run() does.
template <typename Print>
void Printed(Print print) {
  std::ostringstream text;
  try {
    Output output(text, text, {});
    print(output);
  } catch (const nlohmann::json::exception&) {
  }
  std::istringstream lines(text.str());
  for (std::string line; std::getline(lines, line);) {
    if (HasControls(line)) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto body = ReadAnswer("https://server", {data[0] % 2 == 0 ? 200 : 400, absl::ZeroDuration(), text});
  if (!body.ok()) return 0;
  Printed([&](Output& output) { PrintCluster(output, *body); });
  Printed([&](Output& output) { PrintCmek(output, "demo", *body); });
  Printed([&](Output& output) { output.Json(*body); });
  return 0;
}
