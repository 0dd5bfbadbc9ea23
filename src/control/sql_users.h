// The SQL users of a cluster. Passwords become SCRAM verifiers here and go no further.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "control/core.h"

namespace keyhold::control {

// Safe to use from any thread. Every change, made or refused, is in the audit log. Changes return when the
// cluster's nodes have taken them up (AwaitObserved).
class SqlUsers {
 public:
  explicit SqlUsers(Core& core) : core_(core) {}

  // By name.
  StatusOr<std::vector<SqlUser>> List(const std::string& cluster_id);

  // kInvalidArgument: the name or the password; kAlreadyExists.
  StatusOr<SqlUser> Create(const Caller& caller, const std::string& cluster_id, const std::string& name,
                           std::string_view password);

  // kNotFound, kInvalidArgument.
  StatusOr<SqlUser> SetPassword(const Caller& caller, const std::string& cluster_id, const std::string& name,
                                std::string_view password);

  // kNotFound.
  StatusOr<SqlUser> Delete(const Caller& caller, const std::string& cluster_id, const std::string& name);

 private:
  enum class Expect { kNew, kPresent };
  StatusOr<SqlUser> Put(class Audit& audit, const SqlUser& user, std::string_view password, Expect expect);
  StatusOr<SqlUser> Remove(class Audit& audit, const SqlUser& user);

  Core& core_;
};

// kInvalidArgument unless `name` can be a user: [a-z_][a-z0-9_-]{0,62}, and no name of the system's.
Status CheckSqlUserName(std::string_view name);

}  // namespace keyhold::control
