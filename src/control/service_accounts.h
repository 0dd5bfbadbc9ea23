// Service accounts: who holds API keys and roles.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "control/core.h"

namespace keyhold::control {

// Safe to use from any thread. Every change, made or refused, is in the audit log.
class ServiceAccounts {
 public:
  explicit ServiceAccounts(Core& core) : core_(core) {}

  // kInvalidArgument: name or description; a role's errors as in roles.h. `grants`' account is filled in.
  // Names may repeat, as with the Cloud API.
  StatusOr<ServiceAccount> Create(const Caller& caller, const std::string& name,
                                  const std::string& description, std::vector<RoleGrant> grants);
  // What is not set stays. kNotFound.
  StatusOr<ServiceAccount> Update(const Caller& caller, const std::string& id,
                                  const std::optional<std::string>& name,
                                  const std::optional<std::string>& description);
  // With its API keys and roles. kFailedPrecondition: the last ORG_ADMIN with a key.
  StatusOr<ServiceAccount> Delete(const Caller& caller, const std::string& id);

  StatusOr<std::vector<ServiceAccount>> List();
  StatusOr<ServiceAccount> Get(const std::string& id);

 private:
  Core& core_;
};

// In a transaction. kNotFound.
StatusOr<ServiceAccount> FindServiceAccount(Tables& tables, const std::string& id);

}  // namespace keyhold::control
