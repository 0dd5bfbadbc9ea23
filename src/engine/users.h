// SQL users as roles of a PostgreSQL 15.
//
// A SQL user has CREATEDB and CREATEROLE, so roles, databases, comments and what a database's sessions start
// with may be hostile: names are quoted by PostgreSQL itself and never pass through here, sessions reset what
// they were given, and nothing that a user holds a lock on is waited for.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/status.h"

namespace keyhold::engine {

struct SqlUser {
  std::string name;      // 1 to 63 bytes, and no name of the system's
  std::string verifier;  // SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY, as in pg_authid (RFC 5803)
  bool operator==(const SqlUser&) const = default;
};

// Runs a psql script as the superuser in the database named, within `time`; what it printed, unaligned.
using RunSql = std::function<StatusOr<std::string>(const std::string& script, const std::string& database,
                                                   absl::Duration time)>;

// How long ApplyUsers waits for one lock that a session holds, and how long it may take: to make and shut out
// users on a machine that is slow, and to drop what the removed ones own.
inline constexpr absl::Duration kUserLockTimeout = absl::Milliseconds(500);
inline constexpr absl::Duration kMakeWithin = absl::Seconds(10);
inline constexpr absl::Duration kDropWithin = absl::Seconds(3);

// What Postgres::Start runs in the database `postgres`, each time: the role `admin`, the database
// `defaultdb`, our list of the roles that are SQL users, and what a CREATEROLE is not to reach.
std::string BootstrapScript();

// As Postgres::ApplyUsers().
Status ApplyUsers(const RunSql& sql, const std::vector<SqlUser>& users);

}  // namespace keyhold::engine
