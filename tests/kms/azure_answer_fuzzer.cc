// What a vault or a login may answer, and what a key ring may hold as a wrap: never a crash, never a cause
// that locks a node out of bytes that say nothing.
#include <cstdint>
#include <cstdlib>

#include "crypto/secret.h"
#include "kms/azure/assertion.h"
#include "kms/azure/errors.h"
#include "kms/azure/wrap_record.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace keyhold;
  using namespace keyhold::kms;
  using namespace keyhold::kms::azure;
  if (!crypto::InitSecretMemory().ok() || size > 64 << 10) return 0;
  const crypto::Bytes bytes(data, size);
  HttpResponse response;
  response.status = 400;
  response.body = crypto::SecretBytes::CopyOf(bytes);
  const Failure vault = ParseVaultFailure(response);
  const Cause cause = CauseOfVaultFailure(vault, "unwrapKey");
  if (vault.code.empty() && vault.inner.empty() && cause != Cause::kKmsCorrupt) std::abort();
  if (ToStatus(vault, {"unwrapKey", "k", "v"}, cause).ok()) std::abort();
  const Failure login = ParseLoginFailure(response);
  if (ToStatus(login, {"an access token", "l", ""}, CauseOfLoginFailure(login)).ok()) std::abort();
  const auto record = DecodeRecord(bytes);
  if (record.ok() && EncodeRecord(*record) != crypto::AsText(bytes)) std::abort();
  const auto decoded = DecodeBase64Url(crypto::AsText(bytes));
  if (decoded.ok() && EncodeBase64Url(decoded->Expose()).ExposeText() != crypto::AsText(bytes)) std::abort();
  static_cast<void>(OpenPlaintext(bytes, {}));
  return 0;
}
