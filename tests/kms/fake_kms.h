// A KMS in this process: really wraps, bound to the context, and fails when it is told to. Not for kms's own
// tests, but for those of the rooms above.
#pragma once

#include <atomic>
#include <mutex>
#include <string>

#include "crypto/aead.h"
#include "kms/kms.h"

namespace keyhold::testing {

class FakeKms final : public kms::Kms {
 public:
  static constexpr char kKeyA[] =
      "arn:aws:kms:us-east-1:111122223333:key/11111111-1111-1111-1111-111111111111";
  static constexpr char kKeyB[] =
      "arn:aws:kms:us-east-1:111122223333:key/22222222-2222-2222-2222-222222222222";

  // Two of the same uri open what the other wrapped.
  FakeKms(const std::string& uri, crypto::Random& random)
      : spec_{kms::KeyType::kAwsKms, uri, ""}, key_(uri.substr(uri.size() - 32)), random_(random) {}

  // From now on every call answers `status`; OK ends that.
  void Fail(Status status) {
    const std::lock_guard lock(mutex_);
    failure_ = std::move(status);
  }
  // Unwraps to something else than was wrapped.
  void AnswerWrongly(bool wrongly) { wrongly_ = wrongly; }
  // Which version of the key it says that wraps from now on.
  void SetVersion(const std::string& version) {
    const std::lock_guard lock(mutex_);
    version_ = version;
  }
  int calls() const { return calls_; }

  const kms::KeySpec& Spec() const override { return spec_; }

  StatusOr<kms::Wrapped> Wrap(crypto::Bytes secret, const kms::Context& context, absl::Duration) override {
    KEYHOLD_RETURN_IF_ERROR(Called());
    const std::lock_guard lock(mutex_);
    return kms::Wrapped{
        crypto::SealBox(crypto::AsBytes(key_), random_, crypto::AsBytes(Data(context)), secret), version_};
  }
  StatusOr<crypto::SecretBytes> Unwrap(crypto::Bytes wrapped, const kms::Context& context,
                                       absl::Duration) override {
    KEYHOLD_RETURN_IF_ERROR(Called());
    auto opened = crypto::OpenBox(crypto::AsBytes(key_), crypto::AsBytes(Data(context)), wrapped);
    if (!opened.ok()) return Error(Cause::kKmsCorrupt, "the fake KMS did not wrap this");
    if (wrongly_) opened->ExposeMutable()[0] ^= 1;
    return opened;
  }
  StatusOr<kms::KeyDescription> Describe(absl::Duration) override {
    KEYHOLD_RETURN_IF_ERROR(Called());
    return kms::KeyDescription{spec_.uri, kms::RegionOf(spec_), "Enabled", "ENCRYPT_DECRYPT",
                               "SYMMETRIC_DEFAULT"};
  }
  kms::CheckReport Check(std::string_view region, const kms::Context&, absl::Duration) override {
    Status status = kms::CheckRegion(spec_, region);
    if (status.ok()) status = Called();
    return {{{"fake", status.ok(), status.ok() ? Cause::kInternal : CauseOf(status),
              std::string(status.message()), absl::ZeroDuration()}}};
  }

 private:
  static std::string Data(const kms::Context& context) {
    std::string data;
    for (const auto& [name, value] : context) data += name + '\0' + value + '\0';
    return data;
  }
  Status Called() {
    const std::lock_guard lock(mutex_);
    ++calls_;
    return failure_;
  }

  const kms::KeySpec spec_;
  const std::string key_;
  crypto::Random& random_;
  std::mutex mutex_;
  Status failure_;       // guarded by mutex_
  std::string version_;  // guarded by mutex_
  std::atomic<int> calls_ = 0;
  std::atomic<bool> wrongly_ = false;
};

}  // namespace keyhold::testing
