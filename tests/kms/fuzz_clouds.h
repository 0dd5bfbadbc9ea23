// What fuzzers of answers work with: a provider over a cloud in this process, in a time that only waits move.
#pragma once

#include <cstdlib>
#include <memory>

#include "kms/provider.h"
#include "tests/base/fake_clock.h"
#include "tests/base/fixed_random.h"

namespace keyhold::testing {

class FuzzProvider {
 public:
  FuzzProvider(kms::Environment environment, kms::HttpTransport& http)
      : provider_(kms::NewProvider(
            {std::move(environment), "", "org-1", SystemPosix(), clock_, random_, sleeper_}, http)) {}

  std::unique_ptr<kms::Kms> Open(kms::KeyType type, const char* uri, const char* principal) {
    return *provider_->Open({type, uri, principal});
  }

 private:
  class Sleeper final : public kms::Sleeper {
   public:
    explicit Sleeper(FakeClock& clock) : clock_(clock) {}
    void Sleep(absl::Duration duration) override { clock_.Advance(duration); }

   private:
    FakeClock& clock_;
  };

  FakeClock clock_;
  FixedRandom random_;
  Sleeper sleeper_{clock_};
  const std::unique_ptr<kms::KmsProvider> provider_;
};

// `input` as an answer: a byte for its status, then its body.
struct FuzzAnswer {
  FuzzAnswer(const uint8_t* data, size_t size) {
    constexpr int kStatus[] = {200, 400, 401, 403, 404, 409, 429, 500, 503, 302};
    if (size == 0) return;
    status = kStatus[data[0] % std::size(kStatus)];
    body = crypto::Bytes(data + 1, size - 1);
  }
  kms::HttpResponse Response() const {
    kms::HttpResponse response;
    response.status = status;
    response.body = crypto::SecretBytes::CopyOf(body);
    // Headers come from where the body does.
    const std::string head(crypto::AsText(body).substr(0, 200));
    for (const char* name : {"www-authenticate", "retry-after", "x-amzn-errortype", "x-ms-keyvault-region"})
      response.headers[name] = head;
    return response;
  }

  int status = 200;
  crypto::Bytes body;
  bool of_state = false;  // of a call that asks for the key's state
};

// What a node may conclude from `status`: messages are bounded, and an answer of 200 that says nothing locks
// nobody out.
inline void CheckConclusion(const Status& status, const FuzzAnswer& answer) {
  if (status.ok()) return;
  if (status.message().size() > 4000 || CauseOf(status) == Cause::kInternal) std::abort();
  if (answer.status == 200 && !answer.of_state && IsRevocation(CauseOf(status))) std::abort();
}

// For a few tries of each call.
inline constexpr absl::Duration kShort = absl::Milliseconds(300);

// Every use of a key whose cloud answers so.
inline void UseKey(kms::Kms& key, const FuzzAnswer& answer) {
  const kms::Context context = {{"keyhold:store", "s"}};
  const crypto::Bytes secret = crypto::AsBytes("0123456789abcdef0123456789abcdef");
  const auto wrapped = key.Wrap(secret, context, kShort);
  CheckConclusion(wrapped.status(), answer);
  if (wrapped.ok() && (wrapped->bytes.empty() || wrapped->bytes.size() > kms::kMaxWrappedSize)) std::abort();
  if (wrapped.ok() && wrapped->version.size() > kms::kMaxKeyVersionSize) std::abort();
  const auto opened = key.Unwrap(wrapped.ok() ? crypto::AsBytes(wrapped->bytes) : secret, context, kShort);
  CheckConclusion(opened.status(), answer);
  if (opened.ok() && (opened->empty() || opened->size() > kms::kMaxSecretSize)) std::abort();
  const auto description = key.Describe(kShort);
  if (!description.ok() && description.status().message().size() > 4000) std::abort();
  for (const kms::CheckStep& step :
       key.Check(description.ok() ? description->region : "r", context, kShort).steps) {
    if (step.message.size() > 4000) std::abort();
  }
}

}  // namespace keyhold::testing
