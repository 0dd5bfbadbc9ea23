#include "control/service_accounts.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "control/audit.h"
#include "control/roles.h"

namespace keyhold::control {
namespace {

using nlohmann::json;

constexpr size_t kMaxNameSize = 64;
constexpr size_t kMaxDescriptionSize = 500;

bool IsPrintable(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

Status CheckName(const std::string& name) {
  if (!name.empty() && name.size() <= kMaxNameSize && IsPrintable(name)) return OkStatus();
  return Error(Cause::kInvalidArgument, absl::StrCat("a service account's name has 1 to ", kMaxNameSize,
                                                     " printable ASCII characters"));
}

Status CheckDescription(const std::string& description) {
  if (description.size() <= kMaxDescriptionSize && IsPrintable(description)) return OkStatus();
  return Error(Cause::kInvalidArgument, absl::StrCat("a service account's description has at most ",
                                                     kMaxDescriptionSize, " printable ASCII characters"));
}

json PayloadOf(const std::string& id, const std::string& name, const std::vector<RoleGrant>& grants) {
  json payload = {{"id", id}, {"name", name}};
  if (!grants.empty()) payload["roles"] = GrantsJson(grants);
  return payload;
}

}  // namespace

StatusOr<ServiceAccount> FindServiceAccount(Tables& tables, const std::string& id) {
  auto account = tables.organization.GetServiceAccount(id);
  if (account) return *std::move(account);
  return Error(Cause::kNotFound,
               "there is no service account with this id; ccloud service-account list shows those there are");
}

StatusOr<ServiceAccount> ServiceAccounts::Create(const Caller& caller, const std::string& name,
                                                 const std::string& description,
                                                 std::vector<RoleGrant> grants) {
  const ServiceAccount account{crypto::NewUuid(core_.random), name, description, caller.service_account_name,
                               core_.clock.Now()};
  for (RoleGrant& grant : grants) grant.account_id = account.id;
  Audit audit(core_, caller, "CREATE_SERVICE_ACCOUNT", PayloadOf(account.id, name, grants));
  KEYHOLD_RETURN_IF_ERROR(audit.Outcome([&]() -> Status {
    KEYHOLD_RETURN_IF_ERROR(CheckName(name));
    KEYHOLD_RETURN_IF_ERROR(CheckDescription(description));
    return audit.Commit([&](Tables& tables) {
      tables.organization.InsertServiceAccount(account);
      for (const RoleGrant& grant : grants) KEYHOLD_RETURN_IF_ERROR(PutGrant(tables, caller, grant));
      return OkStatus();
    });
  }()));
  return account;
}

StatusOr<ServiceAccount> ServiceAccounts::Update(const Caller& caller, const std::string& id,
                                                 const std::optional<std::string>& name,
                                                 const std::optional<std::string>& description) {
  Audit audit(core_, caller, "UPDATE_SERVICE_ACCOUNT", PayloadOf(id, name.value_or(""), {}));
  KEYHOLD_RETURN_IF_ERROR(audit.Outcome([&]() -> Status {
    if (name) KEYHOLD_RETURN_IF_ERROR(CheckName(*name));
    if (description) KEYHOLD_RETURN_IF_ERROR(CheckDescription(*description));
    return audit.Commit([&](Tables& tables) -> Status {
      KEYHOLD_ASSIGN_OR_RETURN(ServiceAccount account, FindServiceAccount(tables, id));
      account.name = name.value_or(account.name);
      account.description = description.value_or(account.description);
      tables.organization.UpdateServiceAccount(account);
      return OkStatus();
    });
  }()));
  return Get(id);
}

StatusOr<ServiceAccount> ServiceAccounts::Delete(const Caller& caller, const std::string& id) {
  Audit audit(core_, caller, "DELETE_SERVICE_ACCOUNT", PayloadOf(id, "", {}));
  StatusOr<ServiceAccount> account = Error(Cause::kInternal, "not read");
  KEYHOLD_RETURN_IF_ERROR(audit.Outcome(audit.Commit([&](Tables& tables) -> Status {
    account = FindServiceAccount(tables, id);
    KEYHOLD_RETURN_IF_ERROR(account.status());
    for (const RoleGrant& grant : tables.roles.OfAccount(id)) tables.roles.Delete(grant);
    for (const ApiKey& key : tables.api_keys.List()) {
      if (key.service_account_id == id) tables.api_keys.Delete(key.id);
    }
    tables.organization.DeleteServiceAccount(id);
    return CheckAdminRemains(tables);
  })));
  return account;
}

StatusOr<std::vector<ServiceAccount>> ServiceAccounts::List() {
  std::vector<ServiceAccount> accounts;
  KEYHOLD_RETURN_IF_ERROR(core_.store.Read([&](Tables& tables) {
    accounts = tables.organization.ServiceAccounts();
    return OkStatus();
  }));
  return accounts;
}

StatusOr<ServiceAccount> ServiceAccounts::Get(const std::string& id) {
  StatusOr<ServiceAccount> account = Error(Cause::kInternal, "not read");
  KEYHOLD_RETURN_IF_ERROR(core_.store.Read([&](Tables& tables) {
    account = FindServiceAccount(tables, id);
    return account.status();
  }));
  return account;
}

}  // namespace keyhold::control
