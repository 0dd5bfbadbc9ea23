// The KMS seam: one CMEK key, used as one principal.
//
// An implementation calls the KMS and nothing else: it holds no key in clear. Every call is bounded by
// `budget`, the time after which it must have returned; within it throttled and unreachable answers are tried
// again (retry.h), others are not. Errors carry the kKms* causes of base/status.h, in sentences that name
// key, principal and action. Answers are verified (key, size); one that does not verify is kKmsCorrupt.
// Implementations are safe to use from any thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/status.h"
#include "crypto/secret.h"
#include "kms/key_spec.h"

namespace keyhold::kms {

// What a wrap is bound to: cluster, region and store ids. AWS: EncryptionContext (seen in CloudTrail, so
// never secret); Azure: a digest inside what is wrapped. Unwrapping needs the same.
using Context = std::map<std::string, std::string>;

// The largest secret that can be wrapped and the largest wrapped form that is accepted, in bytes
// (AWS KMS: Plaintext of Encrypt, CiphertextBlob of Decrypt). Azure Key Vault wraps with RSA: 157 bytes.
inline constexpr size_t kMaxSecretSize = 4096;
inline constexpr size_t kMaxWrappedSize = 6144;

// A version is the KMS's own name for it: a number (GCP), 32 hexadecimal digits (Azure). Empty where the KMS
// does not tell which one wrapped (AWS, whose versions live and die with their key; NULL_KMS has none).
inline constexpr size_t kMaxKeyVersionSize = 64;  // bytes, printable ASCII

struct Wrapped {
  std::string bytes;    // opaque, 1 to kMaxWrappedSize
  std::string version;  // of the key, that wrapped them
};

struct KeyDescription {
  std::string uri;
  std::string region;
  std::string state;                                // the KMS's own word: "Enabled", "PendingDeletion"
  std::string usage;                                // "ENCRYPT_DECRYPT"
  std::string spec;                                 // "SYMMETRIC_DEFAULT"
  absl::Time deletion_at = absl::InfiniteFuture();  // when it will be destroyed; InfiniteFuture: not planned
};

// One line of a key check. `cause` and `message` speak only when it did not pass; the message of a missing
// permission ends with the policy statement to add.
struct CheckStep {
  std::string name;  // "region", "key state", "kms:Encrypt"
  bool passed = false;
  Cause cause = Cause::kInternal;
  std::string message;
  absl::Duration took;
};

struct CheckReport {
  std::vector<CheckStep> steps;

  // True when every step passed.
  bool Usable() const;
  // OK when usable; else FailedChecks() of those that failed.
  Status ToStatus() const;
};

class Kms {
 public:
  virtual ~Kms() = default;

  // Which key, and as whom.
  virtual const KeySpec& Spec() const = 0;

  // `secret` (1 to kMaxSecretSize bytes, or what its cloud can hold) encrypted by the key and bound to
  // `context`.
  virtual StatusOr<Wrapped> Wrap(crypto::Bytes secret, const Context& context, absl::Duration budget) = 0;

  // The inverse. kKmsCorrupt when the KMS says that `wrapped` is not its own, or is bound to another context.
  virtual StatusOr<crypto::SecretBytes> Unwrap(crypto::Bytes wrapped, const Context& context,
                                               absl::Duration budget) = 0;

  virtual StatusOr<KeyDescription> Describe(absl::Duration budget) = 0;

  // May this key be used by a cluster in `region`? Tries every permission on its own and changes nothing.
  virtual CheckReport Check(std::string_view region, const Context& context, absl::Duration budget) = 0;
};

// Opens keys; the seam at which node tests put a scripted KMS.
class KmsProvider {
 public:
  virtual ~KmsProvider() = default;

  // The KMS of `spec`, which has been checked (key_spec.h). Sends nothing. The result may not outlive this.
  virtual StatusOr<std::unique_ptr<Kms>> Open(const KeySpec& spec) = 0;
};

}  // namespace keyhold::kms
