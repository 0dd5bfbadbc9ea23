// The rows of a transaction (store.h). Inside the room only.
//
// Reads throw nothing and writes throw nothing of their own, but all of them let SOCI's exceptions pass:
// Store turns these into a status and rolls back. Objects are valid as long as their transaction.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "control/model.h"

namespace soci {
class session;
}

namespace keyhold::control {

struct ClusterStretch;  // clusters.h

// Organization, service accounts, and settings that outlive the process.
class OrganizationTable {
 public:
  explicit OrganizationTable(soci::session& sql) : sql_(sql) {}
  // Nothing before the first start is complete.
  std::optional<Organization> Get();
  void Insert(const Organization& organization);
  std::vector<ServiceAccount> ServiceAccounts();
  std::optional<ServiceAccount> GetServiceAccount(const std::string& id);
  void InsertServiceAccount(const ServiceAccount& account);
  void UpdateServiceAccount(const ServiceAccount& account);
  // Its API keys and roles must be gone.
  void DeleteServiceAccount(const std::string& id);
  // Empty when it was never set.
  std::string Setting(const std::string& name);
  void SetSetting(const std::string& name, const std::string& value);

 private:
  soci::session& sql_;
};

class ApiKeyTable {
 public:
  explicit ApiKeyTable(soci::session& sql) : sql_(sql) {}
  std::optional<ApiKey> Get(const std::string& id);
  std::vector<ApiKey> List();
  void Insert(const ApiKey& key);
  void Rename(const std::string& id, const std::string& name);
  void Delete(const std::string& id);

 private:
  soci::session& sql_;
};

class RoleTable {
 public:
  explicit RoleTable(soci::session& sql) : sql_(sql) {}
  std::vector<RoleGrant> List();
  std::vector<RoleGrant> OfAccount(const std::string& account_id);
  // Inserts; as it is when it is there.
  void Put(const RoleGrant& grant);
  void Delete(const RoleGrant& grant);
  // All of a cluster that is no more.
  void DeleteOfCluster(const std::string& cluster_id);

 private:
  soci::session& sql_;
};

struct ClusterKey {
  std::string text;  // what an order compares, a blank, and the id
  std::string id;
};

class ClusterTable {
 public:
  explicit ClusterTable(soci::session& sql) : sql_(sql) {}
  std::optional<ClusterView> Get(const std::string& id);
  // Of those that are not deleted.
  std::optional<std::string> IdOfName(const std::string& name);
  std::vector<std::string> Ids(bool deleted_too);
  // kInvalidArgument: `after` is no key of that order.
  StatusOr<std::vector<ClusterKey>> Keys(const ClusterStretch& stretch);
  void Insert(const Cluster& cluster, const std::vector<Region>& regions);
  void Update(const Cluster& cluster);
  void UpdateRegion(const Region& region);
  void InsertRegion(const Region& region);

 private:
  soci::session& sql_;
};

class NodeTable {
 public:
  explicit NodeTable(soci::session& sql) : sql_(sql) {}
  std::optional<Node> Get(const std::string& id);
  // By region and id.
  std::vector<Node> OfCluster(const std::string& cluster_id);
  // Those of `host`, after it was given those that have none.
  std::vector<Node> OfHost(const std::string& host);
  void Insert(const Node& node);
  void SetStatus(const std::string& id, const wire::NodeStatus& status, absl::Time at);
  void Delete(const std::string& id);
  // A new generation for each node of `cluster_id`: its desired state changes in this transaction.
  void BumpGenerations(const std::string& cluster_id);

 private:
  soci::session& sql_;
};

class SqlUserTable {
 public:
  explicit SqlUserTable(soci::session& sql) : sql_(sql) {}
  // By name.
  std::vector<SqlUser> OfCluster(const std::string& cluster_id);
  // Inserts or replaces.
  void Put(const SqlUser& user);
  void Delete(const std::string& cluster_id, const std::string& name);

 private:
  soci::session& sql_;
};

class AllowlistTable {
 public:
  explicit AllowlistTable(soci::session& sql) : sql_(sql) {}
  // By address and mask.
  std::vector<AllowlistEntry> OfCluster(const std::string& cluster_id);
  // Inserts or replaces.
  void Put(const AllowlistEntry& entry);
  void Delete(const std::string& cluster_id, const std::string& cidr_ip, int64_t cidr_mask);

 private:
  soci::session& sql_;
};

struct AuditPage {
  absl::Time starting_from = absl::InfinitePast();  // exclusive; InfinitePast: from the end of the order
  bool descending = true;
  int limit = 100;
};

class AuditTable {
 public:
  explicit AuditTable(soci::session& sql) : sql_(sql) {}
  // Moves `event`.created_at on by a microsecond past the last event where it would not be later.
  void Append(AuditEvent event);
  std::vector<AuditEvent> List(const AuditPage& page);

 private:
  soci::session& sql_;
};

struct Tables {
  explicit Tables(soci::session& sql)
      : organization(sql),
        api_keys(sql),
        roles(sql),
        clusters(sql),
        nodes(sql),
        sql_users(sql),
        allowlist(sql),
        audit(sql) {}
  OrganizationTable organization;
  ApiKeyTable api_keys;
  RoleTable roles;
  ClusterTable clusters;
  NodeTable nodes;
  SqlUserTable sql_users;
  AllowlistTable allowlist;
  AuditTable audit;
};

}  // namespace keyhold::control
