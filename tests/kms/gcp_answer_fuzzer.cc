// What Google, or who stands in for it, answers, and what a credentials file holds: nothing crashes, messages
// are bounded, and what is believed is what was asked for.
#include <cstdint>
#include <cstdlib>

#include "kms/gcp/errors.h"
#include "kms/gcp/names.h"
#include "kms/gcp/oauth.h"

namespace {

using keyhold::kms::HttpResponse;
namespace gcp = keyhold::kms::gcp;

void Bounded(const keyhold::Status& status) {
  if (status.message().size() > 4000) std::abort();
}

void Answers(const uint8_t* data, size_t size) {
  HttpResponse response;
  response.status = 400;
  response.body = keyhold::crypto::SecretBytes::CopyOf({data, size});
  const gcp::Failure failure = gcp::ParseFailure(response);
  Bounded(gcp::ToStatus(failure, {"action", "resource", "principal", "grant"}, gcp::CauseOfFailure(failure)));
  response.status = 200;
  const auto token = gcp::ParseTokenAnswer(response, absl::UnixEpoch());
  if (token.ok() && (token->value.empty() || token->expires <= absl::UnixEpoch())) std::abort();
  static_cast<void>(gcp::ParseGeneratedToken(response));
}

void Files(const uint8_t* data, size_t size) {
  const auto key = gcp::ParseServiceAccountKey({data, size});
  if (key.ok()) {
    if (!gcp::CheckServiceAccount(key->email).ok()) std::abort();
    static_cast<void>(gcp::SignAssertion(*key, gcp::kPlatformScope, absl::UnixEpoch()));
  } else {
    Bounded(key.status());
  }
  const auto account = gcp::ParseFederatedAccount({data, size});
  if (!account.ok()) Bounded(account.status());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const bool ready = keyhold::crypto::InitSecretMemory().ok();
  // The secure heap has 16 MiB; the transport gives no longer answers than this.
  if (!ready || size > (256 << 10)) return 0;
  Answers(data, size);
  Files(data, size);
  return 0;
}
