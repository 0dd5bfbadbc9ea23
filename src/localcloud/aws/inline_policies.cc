#include "localcloud/aws/inline_policies.h"

#include "localcloud/sql.h"

namespace keyhold::localcloud::aws {

// Table and column are named by the kind: user_policies.user, role_policies.role.
InlinePolicies::InlinePolicies(soci::session& sql, PolicyHolder kind, std::string_view account,
                               std::string_view holder)
    : sql_(sql), kind_(kind == PolicyHolder::kUser ? "user" : "role"), account_(account), holder_(holder) {}

std::vector<std::pair<std::string, std::string>> InlinePolicies::List() {
  soci::rowset<soci::row> rows =
      (sql_.prepare << "SELECT name, document FROM " << kind_ << "_policies WHERE account_id = :a AND "
                    << kind_ << " = :h ORDER BY name",
       soci::use(account_), soci::use(holder_));
  std::vector<std::pair<std::string, std::string>> policies;
  for (const soci::row& row : rows) policies.emplace_back(row.get<std::string>(0), row.get<std::string>(1));
  return policies;
}

void InlinePolicies::Put(const std::string& name, const std::string& document) {
  sql_ << "INSERT OR REPLACE INTO " << kind_ << "_policies (account_id, " << kind_
       << ", name, document) VALUES (:a, :h, :n, :d)",
      soci::use(account_), soci::use(holder_), soci::use(name), soci::use(document);
}

bool InlinePolicies::Delete(const std::string& name) {
  soci::statement statement =
      (sql_.prepare << "DELETE FROM " << kind_ << "_policies WHERE account_id = :a AND " << kind_
                    << " = :h AND name = :n",
       soci::use(account_), soci::use(holder_), soci::use(name));
  statement.execute(true);
  return statement.get_affected_rows() > 0;
}

}  // namespace keyhold::localcloud::aws
