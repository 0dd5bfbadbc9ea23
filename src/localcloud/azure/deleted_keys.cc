#include "absl/strings/str_cat.h"
#include "localcloud/azure/key_service.h"

namespace keyhold::localcloud::azure {
namespace {

StatusOr<VaultKey> DeletedKey(const KeyCall& key) {
  auto found = key.call.store.FindKey(key.vault.name, key.name);
  if (found && found->deleted) return *std::move(found);
  return AzureError(404, "KeyNotFound", absl::StrCat("Deleted Key not found: ", key.name));
}

StatusOr<KeyVersion> Newest(const KeyCall& key, const VaultKey& found) {
  KEYHOLD_ASSIGN_OR_RETURN(std::vector<KeyVersion> versions, key.call.store.Versions(found));
  if (versions.empty()) return KeyNotFound(key.name);
  return std::move(versions.back());
}

void AddDeletion(const KeyCall& key, const VaultKey& found, Json& object) {
  object["recoveryId"] = absl::StrCat("https://", key.call.http.host, "/deletedkeys/", found.name);
  object["deletedDate"] = absl::ToUnixSeconds(*found.deleted);
  object["scheduledPurgeDate"] = absl::ToUnixSeconds(*found.purge);
}

StatusOr<Result> DeletedBundle(const KeyCall& key, const VaultKey& found) {
  KEYHOLD_ASSIGN_OR_RETURN(const KeyVersion newest, Newest(key, found));
  KEYHOLD_ASSIGN_OR_RETURN(Json bundle, KeyBundle(key.vault, newest));
  AddDeletion(key, found, bundle);
  return Result{200, std::move(bundle)};
}

}  // namespace

StatusOr<Result> DeleteKey(KeyCall& key) {
  KEYHOLD_ASSIGN_OR_RETURN(VaultKey found, LiveKey(key));
  found.deleted = key.call.now;
  found.purge = key.call.now + absl::Hours(24 * key.vault.retention_days);
  key.call.store.PutKey(found);
  return DeletedBundle(key, found);
}

StatusOr<Result> GetDeletedKey(KeyCall& key) {
  KEYHOLD_ASSIGN_OR_RETURN(const VaultKey found, DeletedKey(key));
  return DeletedBundle(key, found);
}

StatusOr<Result> ListDeletedKeys(KeyCall& key) {
  std::vector<Json> items;
  for (const VaultKey& found : key.call.store.ListKeys(key.vault.name)) {
    if (!found.deleted) continue;
    KEYHOLD_ASSIGN_OR_RETURN(const KeyVersion newest, Newest(key, found));
    Json item = KeyItem(key.vault, newest, false);
    AddDeletion(key, found, item);
    items.push_back(std::move(item));
  }
  return Page(key.call, items);
}

StatusOr<Result> RecoverKey(KeyCall& key) {
  KEYHOLD_ASSIGN_OR_RETURN(VaultKey found, DeletedKey(key));
  found.deleted.reset();
  found.purge.reset();
  key.call.store.PutKey(found);
  KEYHOLD_ASSIGN_OR_RETURN(const KeyVersion newest, Newest(key, found));
  return BundleAnswer(key.vault, newest);
}

StatusOr<Result> PurgeKey(KeyCall& key) {
  KEYHOLD_ASSIGN_OR_RETURN(const VaultKey found, DeletedKey(key));
  if (key.vault.purge_protection) {
    return AzureError(403, "Forbidden",
                      "Operation \"purge\" is not allowed because purge protection is enabled for "
                      "this vault. Key Vault service will automatically purge it after the "
                      "retention period has passed.",
                      "ForbiddenByPolicy");
  }
  key.call.store.PurgeKey(found);
  return Result{204, nullptr};
}

}  // namespace keyhold::localcloud::azure
