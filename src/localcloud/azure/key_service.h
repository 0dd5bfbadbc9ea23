// The operations of a vault on its keys, one function each, for the table in vault_service.cc. Each gets a
// call that is authenticated and authorized.
#pragma once

#include "localcloud/azure/call.h"

namespace keyhold::localcloud::azure {

struct KeyCall {
  Call& call;
  const KeyVault& vault;
  std::string name;     // of the key; empty for lists
  std::string version;  // empty: the newest
};

// The key, not deleted; KeyNotFound.
StatusOr<VaultKey> LiveKey(const KeyCall& key);
// Its version that the call names; KeyNotFound.
StatusOr<KeyVersion> VersionFor(const KeyCall& key);

// {"key","attributes","tags"}
StatusOr<Json> KeyBundle(const KeyVault& vault, const KeyVersion& version);
// 200 with it.
StatusOr<Result> BundleAnswer(const KeyVault& vault, const KeyVersion& version);
// {"kid","attributes","tags"} of lists.
Json KeyItem(const KeyVault& vault, const KeyVersion& version, bool with_version);

// A new version with the settings (and after the ordinal) of `settings`.
StatusOr<KeyVersion> AddVersion(AzureStore& store, KeyVersion settings, absl::Time now);

// keys.cc
StatusOr<Result> CreateKey(KeyCall& key);
StatusOr<Result> GetKey(KeyCall& key);
StatusOr<Result> ListKeys(KeyCall& key);
StatusOr<Result> ListVersions(KeyCall& key);
StatusOr<Result> UpdateKey(KeyCall& key);
StatusOr<Result> RotateKey(KeyCall& key);
StatusOr<Result> GetRotationPolicy(KeyCall& key);
StatusOr<Result> PutRotationPolicy(KeyCall& key);
// What `policy`, a rotation policy's JSON, says of a version made at `created`: when it is due. Nothing:
// never.
std::optional<absl::Time> RotationDue(const std::string& policy, absl::Time created);

// deleted_keys.cc
StatusOr<Result> DeleteKey(KeyCall& key);
StatusOr<Result> GetDeletedKey(KeyCall& key);
StatusOr<Result> ListDeletedKeys(KeyCall& key);
StatusOr<Result> RecoverKey(KeyCall& key);
StatusOr<Result> PurgeKey(KeyCall& key);

// key_crypto.cc
StatusOr<Result> EncryptWithKey(KeyCall& key);
StatusOr<Result> DecryptWithKey(KeyCall& key);
StatusOr<Result> WrapWithKey(KeyCall& key);
StatusOr<Result> UnwrapWithKey(KeyCall& key);

}  // namespace keyhold::localcloud::azure
