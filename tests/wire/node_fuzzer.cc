// What processes tell each other about a node, as JSON of whatever kind: read, it is written and read as the
// same again.
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "wire/node.h"

namespace {

template <typename Read>
void Check(const nlohmann::json& json, Read read) {
  const auto value = read(json);
  if (!value.ok()) {
    if (keyhold::CauseOf(value.status()) != keyhold::Cause::kInvalidArgument) std::abort();
    return;
  }
  const nlohmann::json written = keyhold::wire::ToJson(*value);
  const auto again = read(written);
  if (!again.ok() || keyhold::wire::ToJson(*again) != written) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace wire = keyhold::wire;
  const auto json = nlohmann::json::parse(data, data + size, nullptr, false);
  Check(json, wire::KeySpecFromJson);
  Check(json, wire::DesiredNodeFromJson);
  Check(json, wire::NodeStatusFromJson);
  Check(json, wire::CheckReportFromJson);
  return 0;
}
