#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "localcloud/gcp/error.h"
#include "localcloud/gcp/kms/operations.h"

namespace keyhold::localcloud::gcp {
namespace {

constexpr size_t kMaterialSize = 32;
// google/cloud/kms/v1/resources.proto, CryptoKeyVersionState.
constexpr EnumName kStates[] = {{1, "ENABLED"}, {2, "DISABLED"}, {3, "DESTROYED"}, {4, "DESTROY_SCHEDULED"}};

Status NotIn(const CryptoKeyVersion& version, std::string_view wanted) {
  return GcpError("FAILED_PRECONDITION", absl::StrCat(version.Name(), " must be ", std::string(wanted),
                                                      ", current state is: ", version.state, "."));
}

struct Found {
  CryptoKey key;
  CryptoKeyVersion version;
};

StatusOr<Found> FindBoth(Call& call, const Resource& resource) {
  KEYHOLD_ASSIGN_OR_RETURN(CryptoKey key, KeyOf(call.store, resource));
  int number = 0;
  if (!absl::SimpleAtoi(resource.version, &number)) number = 0;
  KEYHOLD_ASSIGN_OR_RETURN(CryptoKeyVersion version, VersionOf(call.store, key, number));
  return Found{std::move(key), std::move(version)};
}

}  // namespace

StatusOr<Json> CreateVersion(Call& call, const Resource& resource) {
  KEYHOLD_ASSIGN_OR_RETURN(const CryptoKey key, KeyOf(call.store, resource));
  KEYHOLD_ASSIGN_OR_RETURN(const CryptoKeyVersion version, AddVersion(call.store, call.vault, key, call.now));
  call.record.key = version.Name();
  return VersionJson(version);
}

StatusOr<Json> ListVersions(Call& call, const Resource& resource) {
  KEYHOLD_ASSIGN_OR_RETURN(const CryptoKey key, KeyOf(call.store, resource));
  KEYHOLD_ASSIGN_OR_RETURN(const auto versions, call.store.Versions(key.name));
  std::vector<std::string> names;
  Json items = Json::array();
  for (const CryptoKeyVersion& version : versions) {
    names.push_back(version.Name());
    items.push_back(VersionJson(version));
  }
  return Page(call, "cryptoKeyVersions", names, std::move(items));
}

StatusOr<Json> GetVersion(Call& call, const Resource& resource) {
  KEYHOLD_ASSIGN_OR_RETURN(const Found found, FindBoth(call, resource));
  return VersionJson(found.version);
}

StatusOr<Json> UpdateVersion(Call& call, const Resource& resource) {
  KEYHOLD_ASSIGN_OR_RETURN(Found found, FindBoth(call, resource));
  if (call.Query("updateMask") != "state") {
    return Invalid("The update_mask must be 'state'.");
  }
  KEYHOLD_ASSIGN_OR_RETURN(const std::string state, EnumIn(call.body, "state", kStates));
  if (state != "ENABLED" && state != "DISABLED") {
    return Invalid("The state can be updated to ENABLED or DISABLED.");
  }
  if (found.version.state != "ENABLED" && found.version.state != "DISABLED") {
    return NotIn(found.version, "ENABLED or DISABLED");
  }
  found.version.state = state;
  call.store.PutVersion(found.version);
  return VersionJson(found.version);
}

StatusOr<Json> DestroyVersion(Call& call, const Resource& resource) {
  KEYHOLD_ASSIGN_OR_RETURN(Found found, FindBoth(call, resource));
  if (found.version.state != "ENABLED" && found.version.state != "DISABLED") {
    return NotIn(found.version, "ENABLED or DISABLED");
  }
  found.version.state = "DESTROY_SCHEDULED";
  found.version.destroy = call.now + found.key.destroy_scheduled;
  call.store.PutVersion(found.version);
  return VersionJson(found.version);
}

StatusOr<Json> RestoreVersion(Call& call, const Resource& resource) {
  KEYHOLD_ASSIGN_OR_RETURN(Found found, FindBoth(call, resource));
  if (found.version.state != "DESTROY_SCHEDULED") return NotIn(found.version, "DESTROY_SCHEDULED");
  found.version.state = "DISABLED";
  found.version.destroy.reset();
  call.store.PutVersion(found.version);
  return VersionJson(found.version);
}

StatusOr<CryptoKeyVersion> VersionOf(Store& store, const CryptoKey& key, int number) {
  KEYHOLD_ASSIGN_OR_RETURN(auto version, store.FindVersion(key.name, number));
  if (version) return *std::move(version);
  return GcpError("NOT_FOUND",
                  absl::StrCat("CryptoKeyVersion ", key.name, "/cryptoKeyVersions/", number, " not found."));
}

Json VersionJson(const CryptoKeyVersion& version) {
  Json out = {{"name", version.Name()},
              {"state", version.state},
              {"createTime", TimeText(version.created)},
              {"generateTime", TimeText(version.created)},
              {"protectionLevel", version.protection},
              {"algorithm", version.algorithm}};
  if (version.destroy) out["destroyTime"] = TimeText(*version.destroy);
  if (version.destroyed) out["destroyEventTime"] = TimeText(*version.destroyed);
  return out;
}

StatusOr<CryptoKeyVersion> AddVersion(Store& store, const Vault& vault, const CryptoKey& key,
                                      absl::Time now) {
  KEYHOLD_ASSIGN_OR_RETURN(const auto before, store.Versions(key.name));
  CryptoKeyVersion version;
  version.key = key.name;
  version.number = before.empty() ? 1 : before.back().number + 1;
  version.state = "ENABLED";
  version.algorithm = key.algorithm;
  version.protection = key.protection;
  version.material = vault.random().Secret(kMaterialSize);
  version.created = now;
  store.PutVersion(version);
  return version;
}

}  // namespace keyhold::localcloud::gcp
