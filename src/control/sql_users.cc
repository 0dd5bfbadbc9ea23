#include "control/sql_users.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "control/audit.h"
#include "control/scram.h"

namespace keyhold::control {
namespace {

constexpr size_t kMaxNameSize = 63;  // PostgreSQL's NAMEDATALEN - 1

constexpr std::array<std::string_view, 7> kReserved = {"admin",   "root",     "public", "none",
                                                       "keyhold", "postgres", "node"};

nlohmann::json PayloadOf(const std::string& name) { return nlohmann::json{{"name", name}}; }

bool Has(Tables& tables, const SqlUser& user) {
  const auto users = tables.sql_users.OfCluster(user.cluster_id);
  return std::any_of(users.begin(), users.end(), [&](const SqlUser& u) { return u.name == user.name; });
}

Status NoSuchUser(const SqlUser& user, const Cluster& cluster) {
  return Error(Cause::kNotFound, absl::StrCat("cluster ", cluster.name, " has no SQL user ", user.name));
}

}  // namespace

Status CheckSqlUserName(std::string_view name) {
  const auto fits = [](unsigned char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_' || c == '-';
  };
  if (name.empty() || name.size() > kMaxNameSize || !std::all_of(name.begin(), name.end(), fits) ||
      absl::ascii_isdigit(static_cast<unsigned char>(name[0])) || name[0] == '-') {
    return Error(
        Cause::kInvalidArgument,
        "a SQL user's name has 1 to 63 characters of a-z, 0-9, _ and -, and starts with a letter or _");
  }
  if (std::find(kReserved.begin(), kReserved.end(), name) != kReserved.end() || name.starts_with("pg_")) {
    return Error(Cause::kInvalidArgument,
                 absl::StrCat("the name ", std::string(name), " is the system's own"));
  }
  return OkStatus();
}

StatusOr<std::vector<SqlUser>> SqlUsers::List(const std::string& cluster_id) {
  std::vector<SqlUser> users;
  KEYHOLD_RETURN_IF_ERROR(core_.store.Read([&](Tables& tables) -> Status {
    KEYHOLD_RETURN_IF_ERROR(FindCluster(tables, cluster_id).status());
    users = tables.sql_users.OfCluster(cluster_id);
    return OkStatus();
  }));
  return users;
}

StatusOr<SqlUser> SqlUsers::Create(const Caller& caller, const std::string& cluster_id,
                                   const std::string& name, std::string_view password) {
  Audit audit(core_, caller, "CREATE_SQL_USER", PayloadOf(name));
  return audit.Outcome(Put(audit, {cluster_id, name, ""}, password, Expect::kNew));
}

StatusOr<SqlUser> SqlUsers::SetPassword(const Caller& caller, const std::string& cluster_id,
                                        const std::string& name, std::string_view password) {
  Audit audit(core_, caller, "CHANGE_SQL_USER_PASSWORD", PayloadOf(name));
  return audit.Outcome(Put(audit, {cluster_id, name, ""}, password, Expect::kPresent));
}

StatusOr<SqlUser> SqlUsers::Delete(const Caller& caller, const std::string& cluster_id,
                                   const std::string& name) {
  Audit audit(core_, caller, "DELETE_SQL_USER", PayloadOf(name));
  return audit.Outcome(Remove(audit, {cluster_id, name, ""}));
}

StatusOr<SqlUser> SqlUsers::Put(Audit& audit, const SqlUser& user, std::string_view password, Expect expect) {
  KEYHOLD_RETURN_IF_ERROR(CheckSqlUserName(user.name));
  KEYHOLD_RETURN_IF_ERROR(CheckPassword(password));
  SqlUser complete = user;
  complete.scram_verifier = ScramVerifier(password, core_.random);
  KEYHOLD_RETURN_IF_ERROR(audit.Commit([&](Tables& tables) -> Status {
    KEYHOLD_ASSIGN_OR_RETURN(const ClusterView view, FindClusterToChange(tables, user.cluster_id));
    audit.About(user.cluster_id, view.cluster.name);
    const bool present = Has(tables, user);
    if (present && expect == Expect::kNew) {
      return Error(Cause::kAlreadyExists,
                   absl::StrCat("cluster ", view.cluster.name, " has a SQL user ", user.name, " already"));
    }
    if (!present && expect == Expect::kPresent) return NoSuchUser(user, view.cluster);
    tables.sql_users.Put(complete);
    tables.nodes.BumpGenerations(user.cluster_id);
    return OkStatus();
  }));
  AwaitObserved(core_, user.cluster_id);
  return complete;
}

StatusOr<SqlUser> SqlUsers::Remove(Audit& audit, const SqlUser& user) {
  KEYHOLD_RETURN_IF_ERROR(audit.Commit([&](Tables& tables) -> Status {
    KEYHOLD_ASSIGN_OR_RETURN(const ClusterView view, FindClusterToChange(tables, user.cluster_id));
    audit.About(user.cluster_id, view.cluster.name);
    if (!Has(tables, user)) return NoSuchUser(user, view.cluster);
    tables.sql_users.Delete(user.cluster_id, user.name);
    tables.nodes.BumpGenerations(user.cluster_id);
    return OkStatus();
  }));
  AwaitObserved(core_, user.cluster_id);
  return user;
}

}  // namespace keyhold::control
