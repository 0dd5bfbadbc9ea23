#include "control/clusters.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "control/audit.h"
#include "control/regions.h"
#include "control/roles.h"

namespace keyhold::control {
namespace {

using nlohmann::json;

constexpr size_t kMaxNameSize = 35;  // less than a UUID, so that a name is never taken for an id
constexpr size_t kMaxLabelSize = 63;
constexpr size_t kMaxRegions = 16;
constexpr absl::Duration kDeleteWait = absl::Seconds(20);

bool IsLabelText(const std::string& text) {
  return text.size() <= kMaxLabelSize && std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_' || c == '-';
         });
}

Status CheckName(const std::string& name) {
  const auto fits = [](unsigned char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-';
  };
  if (!name.empty() && name.size() <= kMaxNameSize && std::all_of(name.begin(), name.end(), fits) &&
      name.front() != '-' && name.back() != '-') {
    return OkStatus();
  }
  return Error(Cause::kInvalidArgument,
               absl::StrCat("a cluster's name has 1 to ", kMaxNameSize,
                            " characters of a-z, 0-9 and -, and - neither first nor last"));
}

Status CheckAddOn(const ClusterSpec& spec) {
  if ((spec.add_on || spec.private_network) && spec.plan != Plan::kAdvanced) {
    return Error(
        Cause::kInvalidArgument,
        absl::StrCat(
            "the Advanced Security Add-on and network visibility PRIVATE need the ADVANCED plan, not ",
            std::string(PlanName(spec.plan))));
  }
  return OkStatus();
}

Status CheckRegions(const std::string& cloud, const std::vector<std::string>& regions) {
  std::set<std::string> seen;
  for (const std::string& region : regions) {
    KEYHOLD_RETURN_IF_ERROR(CheckCloudRegion(cloud, region));
    if (!seen.insert(region).second) {
      return Error(Cause::kInvalidArgument, absl::StrCat("region ", region, " is named twice"));
    }
  }
  if (regions.size() <= kMaxRegions) return OkStatus();
  return Error(Cause::kInvalidArgument, absl::StrCat("a cluster has at most ", kMaxRegions, " regions"));
}

Status CheckSpec(const ClusterSpec& spec) {
  KEYHOLD_RETURN_IF_ERROR(CheckName(spec.name));
  if (spec.regions.empty()) {
    return Error(Cause::kInvalidArgument, "a cluster needs a region: give one, such as us-east-1");
  }
  KEYHOLD_RETURN_IF_ERROR(CheckRegions(spec.cloud, spec.regions));
  KEYHOLD_RETURN_IF_ERROR(CheckAddOn(spec));
  return CheckLabels(spec.labels);
}

Node NewNode(const Core& core, const std::string& cluster_id, const std::string& region) {
  Node node;
  node.id = crypto::NewUuid(core.random);
  node.cluster_id = cluster_id;
  node.region = region;
  return node;
}

ClusterView NewCluster(const Core& core, const Caller& caller, const ClusterSpec& spec) {
  ClusterView view;
  Cluster& cluster = view.cluster;
  cluster.id = crypto::NewUuid(core.random);
  cluster.name = spec.name;
  cluster.plan = spec.plan;
  cluster.cloud = spec.cloud;
  cluster.add_on = spec.add_on || spec.private_network;
  cluster.private_network = spec.private_network;
  cluster.delete_protection = spec.delete_protection;
  cluster.labels = spec.labels;
  cluster.hardware = spec.hardware;
  cluster.creator_id = caller.service_account_id;
  cluster.created_at = cluster.updated_at = core.clock.Now();
  for (const std::string& region : spec.regions) {
    view.regions.push_back({cluster.id, region, static_cast<int64_t>(view.regions.size())});
    view.nodes.push_back(NewNode(core, cluster.id, region));
  }
  return view;
}

json PayloadOf(const ClusterSpec& spec) {
  return {{"name", spec.name},
          {"plan", PlanName(spec.plan)},
          {"cloud_provider", spec.cloud},
          {"regions", spec.regions},
          {"advanced_security_add_on", spec.add_on || spec.private_network}};
}

json PayloadOf(const ClusterChange& change) {
  json payload = json::object();
  if (change.plan) payload["plan"] = PlanName(*change.plan);
  if (change.add_on) payload["advanced_security_add_on"] = *change.add_on;
  if (change.delete_protection) payload["delete_protection"] = *change.delete_protection;
  if (change.labels) payload["labels"] = *change.labels;
  if (change.regions) payload["regions"] = *change.regions;
  if (change.hardware) {
    payload["num_virtual_cpus"] = change.hardware->num_virtual_cpus;
    payload["storage_gib"] = change.hardware->storage_gib;
  }
  for (const CmekRegionSpec& spec : change.cmek_region_specs) {
    payload["cmek_region_specs"].push_back(
        {{"region", spec.region}, {"key_spec", wire::ToJson(spec.key_spec)}});
  }
  return payload;
}

Status Upgrade(Plan to, Cluster& cluster) {
  if (to < cluster.plan) {
    return Error(Cause::kFailedPrecondition, absl::StrCat("a plan cannot go down: cluster ", cluster.name,
                                                          " has ", std::string(PlanName(cluster.plan)),
                                                          "; make a new cluster and migrate the data"));
  }
  cluster.plan = to;
  return OkStatus();
}

Status SetAddOn(bool on, Cluster& cluster) {
  if (!on && cluster.add_on) {
    return Error(Cause::kFailedPrecondition,
                 absl::StrCat("the Advanced Security Add-on of cluster ", cluster.name,
                              " cannot be turned off; make a new cluster and migrate the data"));
  }
  if (on && cluster.plan != Plan::kAdvanced) {
    return Error(Cause::kFailedPrecondition,
                 absl::StrCat("the Advanced Security Add-on needs the ADVANCED plan: ccloud cluster update ",
                              cluster.name, " --plan ADVANCED --advanced-security-add-on"));
  }
  cluster.add_on = on;
  return OkStatus();
}

// Those that `wanted` has and the cluster has not.
StatusOr<std::vector<std::string>> NewRegions(const ClusterView& view,
                                              const std::vector<std::string>& wanted) {
  KEYHOLD_RETURN_IF_ERROR(CheckRegions(view.cluster.cloud, wanted));
  std::vector<std::string> added = wanted;
  for (const Region& region : view.regions) {
    if (std::erase(added, region.name) == 0) {
      return Error(Cause::kUnimplemented,
                   absl::StrCat("taking a region away is not built yet: region_nodes must"
                                " name all regions of the cluster, and misses ",
                                region.name));
    }
  }
  return added;
}

void AddRegion(const Core& core, Tables& tables, ClusterView& view, const std::string& name,
               const std::vector<CmekRegionSpec>& specs) {
  Region region{view.cluster.id, name, static_cast<int64_t>(view.regions.size())};
  for (const CmekRegionSpec& spec : specs) {
    if (spec.region != name) continue;
    region.cmek_generation = 1;
    region.cmek_kind = CmekKind::kEnable;
    region.cmek_spec = spec.key_spec;
    region.cmek_requested_at = core.clock.Now();
  }
  tables.clusters.InsertRegion(region);
  view.regions.push_back(std::move(region));
  tables.nodes.Insert(NewNode(core, view.cluster.id, name));
}

}  // namespace

Status CheckLabels(const std::map<std::string, std::string>& labels) {
  if (labels.size() > kMaxLabels) {
    return Error(Cause::kInvalidArgument, absl::StrCat("a cluster has at most ", kMaxLabels, " labels"));
  }
  for (const auto& [key, value] : labels) {
    if (key.empty() || !absl::ascii_islower(static_cast<unsigned char>(key[0])) || !IsLabelText(key) ||
        !IsLabelText(value)) {
      return Error(Cause::kInvalidArgument,
                   "a label's key and value have at most 63 characters of a-z, 0-9, _ and -, and a key starts"
                   " with a letter");
    }
  }
  return OkStatus();
}

Status ApplyChange(const ClusterChange& change, Cluster& cluster) {
  if (change.plan) KEYHOLD_RETURN_IF_ERROR(Upgrade(*change.plan, cluster));
  if (change.add_on) KEYHOLD_RETURN_IF_ERROR(SetAddOn(*change.add_on, cluster));
  if (change.labels) KEYHOLD_RETURN_IF_ERROR(CheckLabels(*change.labels));
  if (change.labels) cluster.labels = *change.labels;
  if (change.delete_protection) cluster.delete_protection = *change.delete_protection;
  if (change.hardware) cluster.hardware = *change.hardware;
  return OkStatus();
}

StatusOr<ClusterView> Clusters::Create(const Caller& caller, const ClusterSpec& spec) {
  Audit audit(core_, caller, "CREATE_CLUSTER", PayloadOf(spec));
  audit.About("", spec.name.substr(0, kMaxNameSize));
  return audit.Outcome(Insert(audit, caller, spec));
}

StatusOr<ClusterView> Clusters::Insert(Audit& audit, const Caller& caller, const ClusterSpec& spec) {
  KEYHOLD_RETURN_IF_ERROR(CheckSpec(spec));
  const ClusterView view = NewCluster(core_, caller, spec);
  KEYHOLD_RETURN_IF_ERROR(audit.Commit([&](Tables& tables) {
    if (tables.clusters.IdOfName(spec.name)) {
      return Error(Cause::kAlreadyExists, absl::StrCat("there is a cluster named ", spec.name, " already"));
    }
    audit.About(view.cluster.id, spec.name);
    tables.clusters.Insert(view.cluster, view.regions);
    for (const Node& node : view.nodes) tables.nodes.Insert(node);
    if (HasRole(caller.grants, Role::kClusterCreator) && !HasRole(caller.grants, Role::kClusterAdmin)) {
      tables.roles.Put({caller.service_account_id, Role::kClusterAdmin, view.cluster.id});
    }
    if (spec.empty_allowlist) return OkStatus();
    tables.allowlist.Put({view.cluster.id, "127.0.0.1", 32, "this-machine-ipv4"});
    tables.allowlist.Put({view.cluster.id, "::1", 128, "this-machine-ipv6"});
    return OkStatus();
  }));
  return view;
}

StatusOr<ClusterView> Clusters::Get(const std::string& id) { return ReadCluster(core_, id, Deleted::kShow); }

StatusOr<std::vector<ClusterEntry>> Clusters::List(ClusterStretch stretch,
                                                   const std::function<bool(const std::string&)>& visible) {
  std::vector<ClusterEntry> entries;
  const auto take = [&](Tables& tables, const ClusterKey& key) {
    auto view = visible(key.id) ? tables.clusters.Get(key.id) : std::nullopt;
    if (view) entries.push_back({key.text, *std::move(view)});
  };
  const size_t wanted = std::max(stretch.limit, 0);
  KEYHOLD_RETURN_IF_ERROR(core_.store.Read([&](Tables& tables) -> Status {
    while (entries.size() < wanted) {
      KEYHOLD_ASSIGN_OR_RETURN(const std::vector<ClusterKey> keys, tables.clusters.Keys(stretch));
      for (size_t i = 0; i < keys.size() && entries.size() < wanted; ++i) take(tables, keys[i]);
      if (keys.size() < wanted) break;
      stretch.after = keys.back().text;
    }
    return OkStatus();
  }));
  return entries;
}

StatusOr<std::vector<ClusterView>> Clusters::All() {
  std::vector<ClusterView> views;
  KEYHOLD_RETURN_IF_ERROR(core_.store.Read([&](Tables& tables) {
    for (const std::string& id : tables.clusters.Ids(/*deleted_too=*/false)) {
      if (auto view = tables.clusters.Get(id)) views.push_back(*std::move(view));
    }
    return OkStatus();
  }));
  return views;
}

StatusOr<ClusterView> Clusters::Update(const Caller& caller, const std::string& id,
                                       const ClusterChange& change) {
  const json payload = PayloadOf(change);
  const bool protection_alone = change.delete_protection && payload.size() == 1;
  Audit audit(core_, caller, protection_alone ? "SET_DELETE_PROTECTION" : "UPDATE_CLUSTER", payload);
  return audit.Outcome(Apply(audit, id, change));
}

StatusOr<ClusterView> Clusters::Apply(Audit& audit, const std::string& id, ClusterChange change) {
  KEYHOLD_ASSIGN_OR_RETURN(const ClusterView before, ReadCluster(core_, id));
  audit.About(id, before.cluster.name);
  std::vector<std::string> added;
  if (change.regions) {
    KEYHOLD_ASSIGN_OR_RETURN(added, NewRegions(before, *change.regions));
  }
  KEYHOLD_ASSIGN_OR_RETURN(change.cmek_region_specs, CheckNewRegions(core_, fleet_, before, added,
                                                                     std::move(change.cmek_region_specs)));
  KEYHOLD_RETURN_IF_ERROR(audit.Commit([&](Tables& tables) -> Status {
    KEYHOLD_ASSIGN_OR_RETURN(ClusterView view, FindClusterToChange(tables, id));
    if (!added.empty() && !SameOperations(before, view)) {
      return Error(Cause::kConflict, absl::StrCat("another operation of cluster ", view.cluster.name,
                                                  " came first; nothing was changed by this one"));
    }
    KEYHOLD_RETURN_IF_ERROR(ApplyChange(change, view.cluster));
    for (const std::string& region : added) AddRegion(core_, tables, view, region, change.cmek_region_specs);
    view.cluster.updated_at = core_.clock.Now();
    tables.clusters.Update(view.cluster);
    return OkStatus();
  }));
  return ReadCluster(core_, id);
}

StatusOr<ClusterView> Clusters::Delete(const Caller& caller, const std::string& id) {
  Audit audit(core_, caller, "DELETE_CLUSTER", json::object());
  return audit.Outcome(MarkDeleting(audit, id));
}

StatusOr<ClusterView> Clusters::MarkDeleting(Audit& audit, const std::string& id) {
  KEYHOLD_RETURN_IF_ERROR(audit.Commit([&](Tables& tables) -> Status {
    KEYHOLD_ASSIGN_OR_RETURN(ClusterView view, FindCluster(tables, id));
    Cluster& cluster = view.cluster;
    audit.About(id, cluster.name);
    if (cluster.lifecycle == Lifecycle::kDeleting) return OkStatus();
    if (cluster.delete_protection) {
      return Error(Cause::kFailedPrecondition,
                   absl::StrCat("cluster ", cluster.name,
                                " is protected from deletion; take that away first: ccloud cluster update ",
                                cluster.name, " --delete-protection DISABLED"));
    }
    cluster.lifecycle = Lifecycle::kDeleting;
    cluster.updated_at = cluster.deleted_at = core_.clock.Now();
    tables.clusters.Update(cluster);
    return OkStatus();
  }));
  const absl::Duration wait = std::min(kDeleteWait, 2 * core_.observe_timeout);
  core_.changes.Await(wait, [&] { return !ReadCluster(core_, id).ok(); });
  return ReadCluster(core_, id, Deleted::kShow);
}

}  // namespace keyhold::control
