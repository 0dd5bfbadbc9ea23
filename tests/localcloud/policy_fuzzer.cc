// Policy documents from anywhere: parsed or refused, and evaluated without harm.
#include <cstddef>
#include <cstdint>

#include "localcloud/aws/policy.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace keyhold::localcloud::aws;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  for (PolicyKind kind : {PolicyKind::kKey, PolicyKind::kTrust, PolicyKind::kIdentity}) {
    auto policy = Policy::Parse(text, kind);
    if (!policy.ok()) continue;
    Principal caller{"111111111111", "arn:aws:iam::111111111111:user/u", "", "AIDA", {}};
    policy->Evaluate({caller, "kms:Encrypt", "arn:aws:kms:us-east-1:111111111111:key/k", {{"a", {"b"}}}});
  }
  return 0;
}
