// What callers send to the local cloud's Google services before they are known: tokens, assertions, paths,
// conditions of policies.
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "localcloud/gcp/expression.h"
#include "localcloud/gcp/policy.h"
#include "localcloud/gcp/resource.h"
#include "localcloud/gcp/token.h"
#include "localcloud/gcp/url.h"
#include "tests/base/fixed_random.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace gcp = keyhold::localcloud::gcp;
  static const bool ready = keyhold::crypto::InitSecretMemory().ok();
  static keyhold::testing::FixedRandom random;
  static const keyhold::localcloud::Vault vault(random.Secret(32), random);
  if (!ready) return 0;
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (gcp::OpenToken(vault, text, absl::UnixEpoch()).ok()) std::abort();
  const auto url = gcp::ParseUrl(text);
  const auto [name, verb] = gcp::SplitVerb(url.path);
  const auto resource = gcp::ParseResource(name);
  if (resource && resource->Name().find("..") != std::string::npos) std::abort();
  static_cast<void>(gcp::EvaluateExpression(text, {}));
  const auto policy = keyhold::localcloud::ParseJson(text);
  if (!policy.ok()) return 0;
  const auto made = gcp::ReplacePolicy(gcp::EmptyPolicy(), *policy, random);
  if (made.ok()) static_cast<void>(gcp::Allows(*made, {"a@b.c"}, "cloudkms.cryptoKeys.get", {}));
  return 0;
}
