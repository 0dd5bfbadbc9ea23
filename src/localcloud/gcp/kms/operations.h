// The operations of Cloud KMS, one function each. `resource` exists in the form that its route says, and the
// caller has the route's permission on it; whether the resource itself is there is for the operation to say.
#pragma once

#include <span>

#include "localcloud/gcp/access.h"

namespace keyhold::localcloud::gcp {

// rings.cc
StatusOr<Json> ListLocations(Call& call, const Resource& resource);
StatusOr<Json> GetLocation(Call& call, const Resource& resource);
StatusOr<Json> CreateKeyRing(Call& call, const Resource& resource);
StatusOr<Json> ListKeyRings(Call& call, const Resource& resource);
StatusOr<Json> GetKeyRing(Call& call, const Resource& resource);

// keys.cc
StatusOr<Json> CreateCryptoKey(Call& call, const Resource& resource);
StatusOr<Json> ListCryptoKeys(Call& call, const Resource& resource);
StatusOr<Json> GetCryptoKey(Call& call, const Resource& resource);
StatusOr<Json> UpdateCryptoKey(Call& call, const Resource& resource);
StatusOr<Json> UpdatePrimaryVersion(Call& call, const Resource& resource);

// versions.cc
StatusOr<Json> CreateVersion(Call& call, const Resource& resource);
StatusOr<Json> ListVersions(Call& call, const Resource& resource);
StatusOr<Json> GetVersion(Call& call, const Resource& resource);
StatusOr<Json> UpdateVersion(Call& call, const Resource& resource);
StatusOr<Json> DestroyVersion(Call& call, const Resource& resource);
StatusOr<Json> RestoreVersion(Call& call, const Resource& resource);

// crypto.cc
StatusOr<Json> Encrypt(Call& call, const Resource& resource);
StatusOr<Json> Decrypt(Call& call, const Resource& resource);

// policies.cc
StatusOr<Json> GetIamPolicy(Call& call, const Resource& resource);
StatusOr<Json> SetIamPolicy(Call& call, const Resource& resource);
StatusOr<Json> TestIamPermissions(Call& call, const Resource& resource);

// For several of them. NOT_FOUND where it is not there.
StatusOr<KeyRing> RingOf(Store& store, const Resource& resource);
StatusOr<CryptoKey> KeyOf(Store& store, const Resource& resource);
StatusOr<CryptoKeyVersion> VersionOf(Store& store, const CryptoKey& key, int number);
StatusOr<Json> KeyJson(Store& store, const CryptoKey& key);
Json VersionJson(const CryptoKeyVersion& version);
// A new enabled version of `key`, stored.
StatusOr<CryptoKeyVersion> AddVersion(Store& store, const Vault& vault, const CryptoKey& key, absl::Time now);

// An enum in a request: by name, or by number as clients that ask for enum-encoding=int send it.
struct EnumName {
  int number;
  std::string_view name;
};
StatusOr<std::string> EnumIn(const Json& object, const char* field, std::span<const EnumName> known);

}  // namespace keyhold::localcloud::gcp
