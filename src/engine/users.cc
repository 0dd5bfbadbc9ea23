#include "engine/users.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <regex>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"

namespace keyhold::engine {
namespace {

constexpr size_t kMaxNameSize = 63;  // NAMEDATALEN - 1
constexpr std::array<const char*, 5> kReserved = {"admin", "keyhold", "postgres", "public", "none"};

// Undoes what ALTER DATABASE and ALTER ROLE may have set for the session, before anything else.
constexpr char kPrelude[] = R"(SET SESSION AUTHORIZATION keyhold;
SET ROLE NONE;
SET search_path = pg_catalog;
SET client_min_messages = error;
SET default_transaction_read_only = off;
SET default_transaction_isolation = 'read committed';
SET standard_conforming_strings = on;
SET statement_timeout = 0;
)";

// Predefined roles that leave PostgreSQL for the host. In PostgreSQL 15 a CREATEROLE may grant itself any
// role but a superuser; marked as one they are out of its reach, and can be logged into by nobody as before.
constexpr char kConfine[] = R"(BEGIN;
SELECT format('REVOKE %I FROM %I', g.rolname, m.rolname)
  FROM pg_auth_members a JOIN pg_roles g ON g.oid = a.roleid JOIN pg_roles m ON m.oid = a.member
 WHERE g.rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files') \gexec
UPDATE pg_authid SET rolsuper = true WHERE NOT rolsuper AND
  rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files');
COMMIT;
)";

// Sessions log nothing below FATAL: RAISE LOG would bring rows there, and users may not change it. The roles
// that are ours are in a table that users cannot reach; before there was one, they were marked by a comment.
constexpr char kBasics[] = R"(SELECT 'CREATE ROLE admin NOLOGIN CREATEDB CREATEROLE'
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'admin') \gexec
SELECT 'CREATE DATABASE defaultdb OWNER admin'
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'defaultdb') \gexec
ALTER ROLE ALL SET log_min_messages = fatal;
CREATE SCHEMA IF NOT EXISTS keyhold;
CREATE TABLE IF NOT EXISTS keyhold.sql_users AS
  SELECT oid AS role FROM pg_roles WHERE shobj_description(oid, 'pg_authid') = 'keyhold' AND NOT rolsuper;
CREATE UNIQUE INDEX IF NOT EXISTS sql_users_role ON keyhold.sql_users (role);
)";

// Roles that a user has dropped.
constexpr char kForget[] =
    "DELETE FROM keyhold.sql_users WHERE NOT EXISTS (SELECT FROM pg_roles WHERE oid = role);\n";

// Backslashes stand for themselves: kPrelude sees to it.
std::string Literal(const std::string& text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "''"}}), "'");
}

std::string Prelude() {
  return absl::StrCat(kPrelude, "SET lock_timeout = ", absl::ToInt64Milliseconds(kUserLockTimeout), ";\n");
}

Status Check(const SqlUser& user) {
  const std::string& name = user.name;
  if (name.empty() || name.size() > kMaxNameSize || name.find('\0') != std::string::npos ||
      name.rfind("pg_", 0) == 0 || std::find(kReserved.begin(), kReserved.end(), name) != kReserved.end()) {
    return Error(Cause::kInvalidArgument,
                 absl::StrCat("a SQL user cannot be named \"", absl::CHexEscape(name),
                              "\": the name is the system's own, or not of 1 to 63 bytes"));
  }
  static const std::regex form(
      R"(SCRAM-SHA-256\$[1-9][0-9]{3,8}:[A-Za-z0-9+/]{8,88}={0,2}\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=)");
  if (std::regex_match(user.verifier, form)) return OkStatus();
  return Error(Cause::kInvalidArgument, "the password of " + name + " is not a SCRAM-SHA-256 verifier");
}

// Statements that make `user` as it should be, and none where it is.
std::string MakeScript(const SqlUser& user) {
  const std::string name = Literal(user.name);
  const std::string verifier = Literal(user.verifier);
  return absl::StrCat(
      "SELECT format('CREATE ROLE %I', ", name,
      ") WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = ", name,
      ") \\gexec\nSELECT format('ALTER ROLE %I LOGIN CREATEDB CREATEROLE PASSWORD %L', ", name, ", ",
      verifier, ") WHERE NOT EXISTS (SELECT FROM pg_authid WHERE rolname = ", name,
      " AND rolpassword = ", verifier,
      " AND rolcanlogin AND rolcreatedb AND rolcreaterole) \\gexec\nSELECT format('GRANT admin TO %I', ",
      name,
      ") WHERE NOT EXISTS (SELECT FROM pg_auth_members WHERE roleid = 'admin'::regrole AND member = (SELECT "
      "oid FROM pg_roles WHERE rolname = ",
      name, ")) \\gexec\nINSERT INTO keyhold.sql_users SELECT oid FROM pg_roles WHERE rolname = ", name,
      " ON CONFLICT DO NOTHING;\n");
}

// The roles that are ours and not wanted.
std::string UnwantedRoles(const std::vector<SqlUser>& users) {
  std::string wanted = "''";
  for (const SqlUser& user : users) absl::StrAppend(&wanted, ", ", Literal(user.name));
  return absl::StrCat(
      "(SELECT oid, rolname, rolcanlogin FROM pg_roles JOIN keyhold.sql_users ON role = oid WHERE NOT "
      "rolsuper "
      "AND rolname NOT IN (",
      wanted, ")) AS unwanted");
}

std::string ShutOutScript(const std::string& unwanted) {
  return absl::StrCat("SELECT format('ALTER ROLE %I NOLOGIN', rolname) FROM ", unwanted,
                      " WHERE rolcanlogin \\gexec\n");
}

// Ends their sessions and prints a line of two words for each of them, and for each database where they may
// own something: its name in hexadecimal, for it may hold anything.
std::string EndSessionsScript(const std::string& unwanted) {
  // In the list and not in the condition, which may be tried on every session before the join.
  return absl::StrCat("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity JOIN ", unwanted,
                      " ON usesysid = unwanted.oid \\gset\nSELECT 'role ' || oid FROM ", unwanted,
                      ";\nSELECT 'database ' || encode(convert_to(datname, 'UTF8'), 'hex') FROM pg_database "
                      "WHERE datallowconn;\n");
}

struct Leavings {
  std::vector<std::string> roles;      // their oids
  std::vector<std::string> databases;  // their names
};

Leavings ParseLeavings(const std::string& output) {
  Leavings leavings;
  for (absl::string_view line : absl::StrSplit(output, '\n')) {
    if (absl::ConsumePrefix(&line, "role ")) leavings.roles.emplace_back(line);
    if (absl::ConsumePrefix(&line, "database ")) leavings.databases.push_back(absl::HexStringToBytes(line));
  }
  return leavings;
}

// They are shut out already. What cannot be dropped now, because a session locks it, is left to a later call.
Status Drop(const RunSql& sql, const Leavings& leavings) {
  const absl::Time until = absl::Now() + kDropWithin;
  const std::string from = absl::StrCat("rolname) FROM pg_roles WHERE oid IN (",
                                        absl::StrJoin(leavings.roles, ", "), ") \\gexec\n");
  for (const std::string& database : leavings.databases) {
    KEYHOLD_RETURN_IF_ERROR(sql(absl::StrCat(Prelude(), "SELECT format('REASSIGN OWNED BY %I TO admin', ",
                                             from, "SELECT format('DROP OWNED BY %I', ", from),
                                database, until - absl::Now())
                                .status());
  }
  return sql(absl::StrCat(Prelude(), "SELECT format('DROP ROLE %I', ", from), "postgres", until - absl::Now())
      .status();
}

}  // namespace

std::string BootstrapScript() { return absl::StrCat(kPrelude, kBasics, kConfine); }

Status ApplyUsers(const RunSql& sql, const std::vector<SqlUser>& users) {
  std::string script = Prelude() + "BEGIN;\n" + kForget;
  for (const SqlUser& user : users) {
    KEYHOLD_RETURN_IF_ERROR(Check(user));
    script += MakeScript(user);
  }
  const std::string unwanted = UnwantedRoles(users);
  absl::StrAppend(&script, ShutOutScript(unwanted), "COMMIT;\n", EndSessionsScript(unwanted));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string output, sql(script, "postgres", kMakeWithin));
  const Leavings leavings = ParseLeavings(output);
  if (leavings.roles.empty()) return OkStatus();
  if (const Status dropped = Drop(sql, leavings); !dropped.ok()) {
    spdlog::warn("engine: a removed SQL user is shut out, and dropped later: {}",
                 std::string(dropped.message()));
  }
  return OkStatus();
}

}  // namespace keyhold::engine
