#include "localcloud/gcp/kms/kms.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "localcloud/gcp/error.h"
#include "localcloud/gcp/kms/operations.h"

namespace keyhold::localcloud::gcp {
namespace {

using Operation = StatusOr<Json> (*)(Call&, const Resource&);

struct Route {
  std::string_view method;
  Level level;
  std::string_view verb;
  std::string_view action;      // as Cloud Audit Logs name it
  std::string_view permission;  // "" where none is needed
  Operation run;
};

constexpr Route kRoutes[] = {
    {"GET", Level::kLocations, "", "ListLocations", "cloudkms.locations.list", ListLocations},
    {"GET", Level::kLocation, "", "GetLocation", "cloudkms.locations.get", GetLocation},

    {"POST", Level::kRings, "", "CreateKeyRing", "cloudkms.keyRings.create", CreateKeyRing},
    {"GET", Level::kRings, "", "ListKeyRings", "cloudkms.keyRings.list", ListKeyRings},
    {"GET", Level::kRing, "", "GetKeyRing", "cloudkms.keyRings.get", GetKeyRing},
    {"GET", Level::kRing, "getIamPolicy", "GetIamPolicy", "cloudkms.keyRings.getIamPolicy", GetIamPolicy},
    {"POST", Level::kRing, "getIamPolicy", "GetIamPolicy", "cloudkms.keyRings.getIamPolicy", GetIamPolicy},
    {"POST", Level::kRing, "setIamPolicy", "SetIamPolicy", "cloudkms.keyRings.setIamPolicy", SetIamPolicy},
    {"POST", Level::kRing, "testIamPermissions", "TestIamPermissions", "", TestIamPermissions},

    {"POST", Level::kKeys, "", "CreateCryptoKey", "cloudkms.cryptoKeys.create", CreateCryptoKey},
    {"GET", Level::kKeys, "", "ListCryptoKeys", "cloudkms.cryptoKeys.list", ListCryptoKeys},
    {"GET", Level::kKey, "", "GetCryptoKey", "cloudkms.cryptoKeys.get", GetCryptoKey},
    {"PATCH", Level::kKey, "", "UpdateCryptoKey", "cloudkms.cryptoKeys.update", UpdateCryptoKey},
    {"POST", Level::kKey, "updatePrimaryVersion", "UpdateCryptoKeyPrimaryVersion",
     "cloudkms.cryptoKeys.update", UpdatePrimaryVersion},
    {"GET", Level::kKey, "getIamPolicy", "GetIamPolicy", "cloudkms.cryptoKeys.getIamPolicy", GetIamPolicy},
    {"POST", Level::kKey, "getIamPolicy", "GetIamPolicy", "cloudkms.cryptoKeys.getIamPolicy", GetIamPolicy},
    {"POST", Level::kKey, "setIamPolicy", "SetIamPolicy", "cloudkms.cryptoKeys.setIamPolicy", SetIamPolicy},
    {"POST", Level::kKey, "testIamPermissions", "TestIamPermissions", "", TestIamPermissions},
    {"POST", Level::kKey, "encrypt", "Encrypt", "cloudkms.cryptoKeyVersions.useToEncrypt", Encrypt},
    {"POST", Level::kKey, "decrypt", "Decrypt", "cloudkms.cryptoKeyVersions.useToDecrypt", Decrypt},

    {"POST", Level::kVersions, "", "CreateCryptoKeyVersion", "cloudkms.cryptoKeyVersions.create",
     CreateVersion},
    {"GET", Level::kVersions, "", "ListCryptoKeyVersions", "cloudkms.cryptoKeyVersions.list", ListVersions},
    {"GET", Level::kVersion, "", "GetCryptoKeyVersion", "cloudkms.cryptoKeyVersions.get", GetVersion},
    {"PATCH", Level::kVersion, "", "UpdateCryptoKeyVersion", "cloudkms.cryptoKeyVersions.update",
     UpdateVersion},
    {"POST", Level::kVersion, "destroy", "DestroyCryptoKeyVersion", "cloudkms.cryptoKeyVersions.destroy",
     DestroyVersion},
    {"POST", Level::kVersion, "restore", "RestoreCryptoKeyVersion", "cloudkms.cryptoKeyVersions.restore",
     RestoreVersion},
    {"POST", Level::kVersion, "encrypt", "Encrypt", "cloudkms.cryptoKeyVersions.useToEncrypt", Encrypt},
};

// Operations of Cloud KMS that are not here.
constexpr std::string_view kOtherVerbs[] = {"asymmetricSign", "asymmetricDecrypt",  "macSign", "macVerify",
                                            "rawEncrypt",     "rawDecrypt",         "import",  "decapsulate",
                                            "publicKey",      "generateRandomBytes"};

Status NoRoute(const Call& call, const std::string& verb) {
  for (const std::string_view other : kOtherVerbs) {
    if (verb == other || call.path.ends_with("/" + std::string(other))) {
      return GcpError("UNIMPLEMENTED", absl::StrCat("The local cloud's Cloud KMS has no ", std::string(other),
                                                    "; it encrypts and decrypts."));
    }
  }
  return GcpError("NOT_FOUND", absl::StrCat("The requested URL ", call.method, " /v1/", call.path,
                                            " was not found on this server."));
}

}  // namespace

StatusOr<Json> ServeKms(Call& call) {
  const auto [name, verb] = SplitVerb(call.path);
  const auto resource = ParseResource(name);
  if (!resource) return NoRoute(call, verb);
  for (const Route& route : kRoutes) {
    if (route.method != call.method || route.level != resource->level || route.verb != verb) continue;
    call.record.action = std::string(route.action);
    call.record.key = resource->Name();
    if (!route.permission.empty()) {
      KEYHOLD_RETURN_IF_ERROR(Authorize(call, TargetOf(call.store, *resource), route.permission));
    }
    return route.run(call, *resource);
  }
  return NoRoute(call, verb);
}

Status SweepKms(Store& store, const Vault& vault, absl::Time now) {
  store.DestroyDue(now);
  for (CryptoKey& key : store.KeysToRotate(now)) {
    // A machine that slept over several periods gets one version for them.
    KEYHOLD_ASSIGN_OR_RETURN(const CryptoKeyVersion version, AddVersion(store, vault, key, now));
    key.primary = version.number;
    while (key.rotation_period && *key.next_rotation <= now) *key.next_rotation += *key.rotation_period;
    if (!key.rotation_period) key.next_rotation.reset();
    store.PutKey(key);
  }
  return OkStatus();
}

StatusOr<std::string> EnumIn(const Json& object, const char* field, std::span<const EnumName> known) {
  const auto found = object.find(field);
  if (found == object.end() || found->is_null()) return std::string();
  for (const EnumName& value : known) {
    const bool same = found->is_string() ? found->get_ref<const std::string&>() == value.name
                                         : found->is_number_integer() && *found == value.number;
    if (same) return std::string(value.name);
  }
  return GcpError("INVALID_ARGUMENT",
                  absl::StrCat("Invalid value at '", field,
                               "': ", found->dump(-1, ' ', true, Json::error_handler_t::replace)));
}

}  // namespace keyhold::localcloud::gcp
