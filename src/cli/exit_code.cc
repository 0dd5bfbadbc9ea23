#include "cli/exit_code.h"

#include "absl/strings/cord.h"

namespace keyhold::cli {
namespace {

constexpr absl::string_view kUsagePayload = "keyhold/usage";

}  // namespace

Status UsageError(std::string_view message) {
  Status status = Error(Cause::kInvalidArgument, message);
  status.SetPayload(kUsagePayload, absl::Cord("1"));
  return status;
}

ExitCode ExitCodeOf(const Status& status) {
  if (status.ok()) return kSuccess;
  return status.GetPayload(kUsagePayload).has_value() ? kUsage : kFailure;
}

}  // namespace keyhold::cli
