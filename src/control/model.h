// What the control plane keeps: its records, one struct per table (store.h).
//
// Values only. Times are UTC with microseconds; absl::InfinitePast() stands for "not yet". Ids are UUIDs in
// lower case unless said otherwise. Enumerations carry the Cloud API's names.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "wire/node.h"

namespace keyhold::control {

enum class Plan { kBasic, kStandard, kAdvanced };

// Where a cluster is in its life. Whether it is LOCKED follows from its nodes (state.h).
enum class Lifecycle { kCreating, kCreated, kCreationFailed, kDeleting, kDeleted };

// What the newest CMEK generation of a region was asked for as.
enum class CmekKind { kNone, kEnable, kRotate };

std::string_view PlanName(Plan plan);
std::string_view LifecycleName(Lifecycle lifecycle);
std::string_view CmekKindName(CmekKind kind);
// Nothing for a name that is none.
std::optional<Plan> PlanFromName(std::string_view name);
std::optional<Lifecycle> LifecycleFromName(std::string_view name);
std::optional<CmekKind> CmekKindFromName(std::string_view name);

struct Organization {
  std::string id;
  std::string name;
  std::string label;  // "org-" and five characters
  absl::Time created_at = absl::InfinitePast();
};

// In the order of the Cloud API's OrganizationUserRole.Type (roles.h).
enum class Role {
  kBillingCoordinator,
  kOrgAdmin,
  kOrgMember,
  kClusterAdmin,
  kClusterOperatorWriter,
  kClusterDeveloper,
  kClusterCreator,
  kFolderAdmin,
  kFolderMover,
  kMetricsViewer,
  kClusterMonitor,
  kBillingViewer,
};
inline constexpr size_t kRoleCount = 12;

struct RoleGrant {
  std::string account_id;
  Role role = Role::kOrgMember;
  std::string cluster_id;  // empty: on the whole organization

  bool operator==(const RoleGrant&) const = default;
};

struct ServiceAccount {
  std::string id;
  std::string name;
  std::string description;
  std::string creator_name;  // of the account that made it; empty: the server's first start
  absl::Time created_at = absl::InfinitePast();
};

struct ApiKey {
  std::string id;  // the 22 characters between the two underscores of the key
  std::string service_account_id;
  std::string name;
  std::string secret_sha256;  // hex digest of the whole key; the key itself is kept nowhere
  absl::Time created_at = absl::InfinitePast();
};

// What a cluster was asked to run on. Told back as it was told; one machine has what it has.
struct Hardware {
  std::string machine_type;
  int64_t num_virtual_cpus = 4;
  int64_t storage_gib = 15;
  int64_t disk_iops = 0;
};

// A key that the store keys of a cluster are sealed to besides: its public half, and how the other is shared.
struct RecoveryKey {
  std::string public_key;  // PEM
  std::string key_id;      // its fingerprint
  int64_t threshold = 0;   // as many of the shares open it
  int64_t shares = 0;
  absl::Time created_at = absl::InfinitePast();
};

struct Cluster {
  std::string id;
  std::string name;  // unique among those that are not deleted
  Plan plan = Plan::kAdvanced;
  std::string cloud;  // AWS, GCP, AZURE
  Lifecycle lifecycle = Lifecycle::kCreating;
  bool add_on = false;  // the Advanced Security Add-on; never goes off
  bool private_network = false;
  bool delete_protection = false;
  std::map<std::string, std::string> labels;
  Hardware hardware;
  std::optional<absl::Duration> unreachable_grace;  // see Fleet::GraceOf(); empty: the server's own
  std::optional<RecoveryKey> recovery;
  std::string creator_id;
  bool revoked = false;  // a customer's REVOKE holds
  absl::Time revoked_at = absl::InfinitePast();
  absl::Time created_at = absl::InfinitePast();
  absl::Time updated_at = absl::InfinitePast();
  absl::Time deleted_at = absl::InfinitePast();
};

struct Region {
  std::string cluster_id;
  std::string name;
  int64_t ordinal = 0;  // the first one is the primary
  uint64_t cmek_generation = 0;
  CmekKind cmek_kind = CmekKind::kNone;
  wire::KeySpec cmek_spec;
  absl::Time cmek_requested_at = absl::InfinitePast();
};

struct Node {
  std::string id;
  std::string cluster_id;
  std::string region;
  std::string host;         // of the agent that has it; empty: not placed yet
  uint64_t generation = 1;  // of its desired state
  bool reported = false;    // `status` was told by a node
  wire::NodeStatus status;
  absl::Time status_at = absl::InfinitePast();
};

struct SqlUser {
  std::string cluster_id;
  std::string name;
  std::string scram_verifier;
};

struct AllowlistEntry {
  std::string cluster_id;
  std::string cidr_ip;  // in the form that inet_ntop(3) gives it
  int64_t cidr_mask = 0;
  std::string name;
  bool sql = true;
  bool ui = false;
};

struct AuditEvent {
  std::string id;
  absl::Time created_at = absl::InfinitePast();  // grows strictly from event to event
  std::string action;                            // AUDIT_LOG_ACTION_...
  std::string source;                            // AUDIT_LOG_SOURCE_...
  std::string cluster_id;
  std::string cluster_name;
  std::string service_account_name;
  std::string ip_address;
  std::string payload;  // JSON, without secrets
  std::string error;    // empty: the change was made
};

// A cluster with all that hangs on it, read in one transaction.
struct ClusterView {
  Cluster cluster;
  std::vector<Region> regions;  // by ordinal
  std::vector<Node> nodes;      // by region and id
};

// Who asks, and from where.
struct Caller {
  std::string service_account_id;
  std::string service_account_name;
  std::string api_key_id;
  std::string ip_address;
  std::string source;             // AUDIT_LOG_SOURCE_...
  std::vector<RoleGrant> grants;  // without ORG_MEMBER, which everyone has
  std::shared_ptr<bool> audited;  // set once the audit log has an event of this request; may be null
};

// RFC 3339 in UTC with as many digits as are needed; empty for absl::InfinitePast().
std::string Rfc3339(absl::Time time);

}  // namespace keyhold::control
