#include "control/cmek.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/failed_checks.h"
#include "control/audit.h"
#include "control/state.h"
#include "kms/key_spec.h"

namespace keyhold::control {

struct Cmek::Request {
  std::string id;
  CmekKind kind = CmekKind::kEnable;
  std::vector<CmekRegionSpec> specs;
};

namespace {

using nlohmann::json;

Status CheckLifecycle(const Cluster& cluster) {
  if (cluster.lifecycle == Lifecycle::kCreated) return OkStatus();
  if (cluster.lifecycle == Lifecycle::kCreating) {
    return Error(Cause::kUnavailable, absl::StrCat("cluster ", cluster.name,
                                                   " is still being created; try again when it is CREATED"));
  }
  return Error(Cause::kFailedPrecondition,
               absl::StrCat("cluster ", cluster.name, " is ", std::string(LifecycleName(cluster.lifecycle))));
}

std::string RegionNames(const ClusterView& view) {
  return absl::StrJoin(view.regions, ", ",
                       [](std::string* out, const Region& region) { out->append(region.name); });
}

Status CheckMayEnable(const ClusterView& view) {
  if (CmekInForce(view)) {
    return Error(Cause::kAlreadyExists,
                 absl::StrCat("CMEK is enabled on cluster ", view.cluster.name,
                              " already; use PUT to rotate: ccloud cluster cmek rotate ", view.cluster.name));
  }
  return OkStatus();
}

Status CheckMayRotate(const ClusterView& view) {
  if (!CmekInForce(view)) {
    return Error(Cause::kFailedPrecondition,
                 absl::StrCat("CMEK is not enabled on cluster ", view.cluster.name,
                              " yet; use POST to enable it: ccloud cluster cmek enable ", view.cluster.name));
  }
  return OkStatus();
}

// To move to another key takes the old one.
Status CheckMayMove(const ClusterView& view, const std::vector<CmekRegionSpec>& specs) {
  if (view.cluster.revoked) {
    if (specs.size() == view.regions.size()) return OkStatus();
    return Error(Cause::kInvalidArgument, absl::StrCat("cluster ", view.cluster.name,
                                                       " was revoked: bringing it back takes a key for every"
                                                       " region: ",
                                                       RegionNames(view)));
  }
  for (const CmekRegionSpec& spec : specs) {
    const auto lock = LockOfRegion(view, spec.region);
    if (!lock || lock->cause == "REVOKED") continue;
    return Error(
        Cause::kFailedPrecondition,
        absl::StrCat(
            "cluster ", view.cluster.name, " is LOCKED in ", spec.region,
            ", and its old key is needed to move to another; restore that one first",
            view.cluster.recovery ? ", or open the store by its recovery key (keyhold store recover)" : "",
            ": ", lock->message));
  }
  return OkStatus();
}

Status CheckState(const ClusterView& view, CmekKind kind) {
  KEYHOLD_RETURN_IF_ERROR(CheckPlan(view.cluster));
  KEYHOLD_RETURN_IF_ERROR(CheckLifecycle(view.cluster));
  // What a REVOKE came in between of is not carried out any more.
  if (CmekRunning(view) && !view.cluster.revoked) {
    return Error(Cause::kConflict,
                 absl::StrCat("a CMEK operation of cluster ", view.cluster.name, " is under way (",
                              CmekOf(view).status, "); wait for its end"));
  }
  return kind == CmekKind::kEnable ? CheckMayEnable(view) : CheckMayRotate(view);
}

// Fills in the region where it is left out; each region is one of the cluster's, and named once.
Status ResolveRegions(const ClusterView& view, std::vector<CmekRegionSpec>& specs) {
  std::set<std::string> seen;
  if (specs.empty()) return Error(Cause::kInvalidArgument, "region_specs must name a key for a region");
  for (CmekRegionSpec& spec : specs) {
    if (spec.region.empty() && view.regions.size() == 1) spec.region = view.regions.front().name;
    const bool known = std::any_of(view.regions.begin(), view.regions.end(),
                                   [&](const Region& region) { return region.name == spec.region; });
    if (!known) {
      return Error(Cause::kInvalidArgument, absl::StrCat("cluster ", view.cluster.name, " has no region \"",
                                                         spec.region, "\"; it has ", RegionNames(view)));
    }
    if (!seen.insert(spec.region).second) {
      return Error(Cause::kInvalidArgument,
                   absl::StrCat("region_specs names region ", spec.region, " twice"));
    }
  }
  return OkStatus();
}

// The cloud's own form, and the cluster's cloud and region.
StatusOr<wire::KeySpec> CheckForm(const ClusterView& view, const CmekRegionSpec& given) {
  KEYHOLD_ASSIGN_OR_RETURN(const kms::KeySpec spec, kms::MakeKeySpec(given.key_spec.type, given.key_spec.uri,
                                                                     given.key_spec.auth_principal));
  const std::string& cloud = view.cluster.cloud;
  const std::string wanted = cloud == "AWS"   ? "AWS_KMS"
                             : cloud == "GCP" ? "GCP_CLOUD_KMS"
                                              : "AZURE_KEY_VAULT";
  if (given.key_spec.type != wanted) {
    return Error(Cause::kKmsWrongKey, absl::StrCat("cluster ", view.cluster.name, " is on ", cloud,
                                                   ": its key must be of type ", wanted));
  }
  KEYHOLD_RETURN_IF_ERROR(kms::CheckRegion(spec, given.region));
  return wire::KeySpec{std::string(kms::KeyTypeName(spec.type)), spec.uri, spec.auth_principal};
}

StatusOr<std::vector<CmekRegionSpec>> CheckSpecs(const ClusterView& view, CmekKind kind,
                                                 std::vector<CmekRegionSpec> specs) {
  KEYHOLD_RETURN_IF_ERROR(ResolveRegions(view, specs));
  if (kind == CmekKind::kEnable && specs.size() != view.regions.size()) {
    return Error(Cause::kInvalidArgument,
                 absl::StrCat("enabling CMEK needs a key for every region: ", RegionNames(view)));
  }
  if (kind == CmekKind::kRotate) KEYHOLD_RETURN_IF_ERROR(CheckMayMove(view, specs));
  for (CmekRegionSpec& spec : specs) {
    KEYHOLD_ASSIGN_OR_RETURN(spec.key_spec, CheckForm(view, spec));
  }
  return specs;
}

Status FromReport(const wire::KeySpec& spec, const wire::CheckReport& report) {
  if (report.usable) return OkStatus();
  std::vector<FailedCheck> failed;
  for (const wire::CheckStep& step : report.steps) {
    if (step.result == "FAIL") failed.push_back({step.name, CauseFromName(step.cause), step.message});
  }
  if (failed.empty())
    return Error(Cause::kInternal,
                 absl::StrCat("the check of key ", spec.uri, " does not say why it failed"));
  const Status why = FailedChecks(failed);
  return Error(CauseOf(why), absl::StrCat("the cluster may not use key ", spec.uri,
                                          ", and nothing was changed. ", std::string(why.message())));
}

void AddLine(const std::string& name, const Status& status, wire::CheckReport& report) {
  const bool ok = status.ok();
  report.steps.push_back({name, ok ? "PASS" : "FAIL", ok ? "" : std::string(CauseName(CauseOf(status))),
                          std::string(status.message()), 0});
}

json PayloadOf(const std::vector<CmekRegionSpec>& specs) {
  json list = json::array();
  for (const CmekRegionSpec& spec : specs) {
    list.push_back({{"region", spec.region}, {"key_spec", wire::ToJson(spec.key_spec)}});
  }
  return json{{"region_specs", list}};
}

Status CheckKeyOn(const Core& core, Fleet& fleet, const Node& node, const CmekRegionSpec& spec) {
  const auto report = fleet.Check(node.id, spec.key_spec, spec.region, core.check_timeout);
  if (!report.ok()) return Annotate(report.status(), "the key could not be checked, and nothing was changed");
  return FromReport(spec.key_spec, *report);
}

// Each key on every node of its region.
Status CheckKeys(const Core& core, Fleet& fleet, const ClusterView& view,
                 const std::vector<CmekRegionSpec>& specs) {
  for (const CmekRegionSpec& spec : specs) {
    for (const Node& node : view.nodes) {
      if (node.region == spec.region) KEYHOLD_RETURN_IF_ERROR(CheckKeyOn(core, fleet, node, spec));
    }
  }
  return OkStatus();
}

Status CheckNewSpecs(const ClusterView& view, const std::vector<std::string>& added,
                     const std::vector<CmekRegionSpec>& specs) {
  std::set<std::string> named;
  for (const CmekRegionSpec& spec : specs) {
    const bool is_new = std::find(added.begin(), added.end(), spec.region) != added.end();
    if (!is_new || !named.insert(spec.region).second) {
      return Error(Cause::kInvalidArgument,
                   absl::StrCat("cmek_region_specs names region \"", spec.region,
                                "\": it takes one key for each new region and none for others; PUT"
                                " /cmek rotates the keys of regions that are there"));
    }
  }
  if (!CmekInForce(view)) {
    if (specs.empty()) return OkStatus();
    return Error(Cause::kInvalidArgument,
                 absl::StrCat("CMEK is not enabled on cluster ", view.cluster.name,
                              ": leave cmek_region_specs out, or enable CMEK first"));
  }
  if (named.size() == added.size()) return OkStatus();
  return Error(Cause::kInvalidArgument, absl::StrCat("cluster ", view.cluster.name,
                                                     " has CMEK: each new region needs its key in"
                                                     " cmek_region_specs of the same call: ",
                                                     absl::StrJoin(added, ", ")));
}

// A REVOKE of the whole cluster ends with the next operation of any region; the node keeps to `revoked`
// alone.
void StoreOperation(Tables& tables, ClusterView& view, CmekKind kind, absl::Time now,
                    const std::vector<CmekRegionSpec>& specs) {
  view.cluster.revoked = false;
  view.cluster.revoked_at = absl::InfinitePast();
  view.cluster.updated_at = now;
  tables.clusters.Update(view.cluster);
  for (Region& region : view.regions) {
    for (const CmekRegionSpec& spec : specs) {
      if (spec.region != region.name) continue;
      ++region.cmek_generation;
      region.cmek_kind = kind;
      region.cmek_spec = spec.key_spec;
      region.cmek_requested_at = now;
      tables.clusters.UpdateRegion(region);
    }
  }
  tables.nodes.BumpGenerations(view.cluster.id);
}

}  // namespace

Status CheckPlan(const Cluster& cluster) {
  if (cluster.plan != Plan::kAdvanced) {
    return Error(Cause::kFailedPrecondition,
                 absl::StrCat("CMEK needs the ADVANCED plan with the Advanced Security Add-on, and cluster ",
                              cluster.name, " has plan ", std::string(PlanName(cluster.plan)),
                              ". Upgrade it and turn the add-on on: ccloud cluster update ", cluster.name,
                              " --plan ADVANCED --advanced-security-add-on"));
  }
  if (!cluster.add_on) {
    return Error(Cause::kFailedPrecondition,
                 absl::StrCat("CMEK needs the Advanced Security Add-on, which cluster ", cluster.name,
                              " does not have. Turn it on: ccloud cluster update ", cluster.name,
                              " --advanced-security-add-on"));
  }
  return OkStatus();
}

StatusOr<ClusterView> Cmek::Enable(const Caller& caller, const std::string& id,
                                   const std::vector<CmekRegionSpec>& specs) {
  Audit audit(core_, caller, "UPDATE_CMEK", PayloadOf(specs));
  return audit.Outcome(CheckAndCommit(audit, {id, CmekKind::kEnable, specs}));
}

StatusOr<ClusterView> Cmek::Rotate(const Caller& caller, const std::string& id,
                                   const std::vector<CmekRegionSpec>& specs) {
  Audit audit(core_, caller, "UPDATE_CMEK", PayloadOf(specs));
  return audit.Outcome(CheckAndCommit(audit, {id, CmekKind::kRotate, specs}));
}

StatusOr<std::vector<CmekRegionCheck>> Cmek::Check(const std::string& id, std::vector<CmekRegionSpec> specs) {
  KEYHOLD_ASSIGN_OR_RETURN(const ClusterView view, ReadCluster(core_, id));
  KEYHOLD_RETURN_IF_ERROR(CheckLifecycle(view.cluster));
  KEYHOLD_RETURN_IF_ERROR(ResolveRegions(view, specs));
  std::vector<CmekRegionCheck> checks;
  for (const CmekRegionSpec& spec : specs) {
    CmekRegionCheck check{spec.region, spec.key_spec, {}};
    AddLine("plan and add-on", CheckPlan(view.cluster), check.report);
    const auto form = CheckForm(view, spec);
    AddLine("key spec", form.status(), check.report);
    if (form.ok()) KEYHOLD_RETURN_IF_ERROR(CheckOnNodes(view, spec.region, *form, check.report));
    check.report.usable = std::none_of(check.report.steps.begin(), check.report.steps.end(),
                                       [](const wire::CheckStep& step) { return step.result == "FAIL"; });
    checks.push_back(std::move(check));
  }
  return checks;
}

Status Cmek::CheckOnNodes(const ClusterView& view, const std::string& region, const wire::KeySpec& spec,
                          wire::CheckReport& report) {
  for (const Node& node : view.nodes) {
    if (node.region != region) continue;
    KEYHOLD_ASSIGN_OR_RETURN(const wire::CheckReport found,
                             fleet_.Check(node.id, spec, region, core_.check_timeout));
    report.steps.insert(report.steps.end(), found.steps.begin(), found.steps.end());
  }
  return OkStatus();
}

StatusOr<ClusterView> Cmek::Revoke(const Caller& caller, const std::string& id) {
  Audit audit(core_, caller, "REVOKE_CMEK", json{{"action", "REVOKE"}});
  return audit.Outcome(CommitRevoke(audit, id));
}

StatusOr<ClusterView> Cmek::SetGrace(const Caller& caller, const std::string& id,
                                     std::optional<absl::Duration> grace) {
  const std::string text = grace ? absl::FormatDuration(*grace) : "default";
  Audit audit(core_, caller, "UPDATE_CMEK", json{{"policy", {{"unreachable_grace", text}}}});
  KEYHOLD_RETURN_IF_ERROR(audit.Outcome(audit.Commit([&](Tables& tables) -> Status {
    KEYHOLD_ASSIGN_OR_RETURN(ClusterView view, FindClusterToChange(tables, id));
    audit.About(id, view.cluster.name);
    const bool lock = grace == absl::ZeroDuration();
    if (grace && !lock && (*grace < kShortestGrace || *grace > kLongestGrace)) {
      return Error(Cause::kInvalidArgument, absl::StrCat("a cluster serves on for 1s to 168h, not ", text));
    }
    view.cluster.unreachable_grace = grace;
    view.cluster.updated_at = core_.clock.Now();
    tables.clusters.Update(view.cluster);
    tables.nodes.BumpGenerations(id);
    return OkStatus();
  })));
  AwaitObserved(core_, id);
  return ReadCluster(core_, id);
}

StatusOr<ClusterView> Cmek::CheckAndCommit(Audit& audit, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const ClusterView before, ReadCluster(core_, request.id));
  audit.About(request.id, before.cluster.name);
  KEYHOLD_RETURN_IF_ERROR(CheckState(before, request.kind));
  KEYHOLD_ASSIGN_OR_RETURN(const std::vector<CmekRegionSpec> specs,
                           CheckSpecs(before, request.kind, request.specs));
  KEYHOLD_RETURN_IF_ERROR(CheckKeys(core_, fleet_, before, specs));
  KEYHOLD_RETURN_IF_ERROR(audit.Commit([&](Tables& tables) -> Status {
    KEYHOLD_ASSIGN_OR_RETURN(ClusterView view, FindClusterToChange(tables, request.id));
    if (!SameOperations(before, view)) {
      return Error(Cause::kConflict, absl::StrCat("another CMEK operation of cluster ", view.cluster.name,
                                                  " came first; nothing was changed by this one"));
    }
    StoreOperation(tables, view, request.kind, core_.clock.Now(), specs);
    return OkStatus();
  }));
  return ReadCluster(core_, request.id);
}

StatusOr<ClusterView> Cmek::CommitRevoke(Audit& audit, const std::string& id) {
  KEYHOLD_RETURN_IF_ERROR(audit.Commit([&](Tables& tables) -> Status {
    KEYHOLD_ASSIGN_OR_RETURN(ClusterView view, FindClusterToChange(tables, id));
    audit.About(id, view.cluster.name);
    if (!CmekInForce(view)) {
      return Error(
          Cause::kFailedPrecondition,
          absl::StrCat("CMEK is not enabled on cluster ", view.cluster.name, ": there is no key to revoke"));
    }
    if (view.cluster.revoked) return OkStatus();
    view.cluster.revoked = true;
    view.cluster.revoked_at = view.cluster.updated_at = core_.clock.Now();
    tables.clusters.Update(view.cluster);
    tables.nodes.BumpGenerations(id);
    return OkStatus();
  }));
  return ReadCluster(core_, id);
}

bool SameOperations(const ClusterView& a, const ClusterView& b) {
  return a.cluster.revoked == b.cluster.revoked && a.cluster.lifecycle == b.cluster.lifecycle &&
         std::equal(a.regions.begin(), a.regions.end(), b.regions.begin(), b.regions.end(),
                    [](const Region& x, const Region& y) { return x.cmek_generation == y.cmek_generation; });
}

StatusOr<std::vector<CmekRegionSpec>> CheckNewRegions(Core& core, Fleet& fleet, const ClusterView& view,
                                                      const std::vector<std::string>& added,
                                                      std::vector<CmekRegionSpec> specs) {
  KEYHOLD_RETURN_IF_ERROR(CheckNewSpecs(view, added, specs));
  if (added.empty()) return specs;
  KEYHOLD_RETURN_IF_ERROR(CheckLifecycle(view.cluster));
  if (view.cluster.revoked) {
    return Error(
        Cause::kFailedPrecondition,
        absl::StrCat("cluster ", view.cluster.name, " was revoked; bring it back before it gets a region"));
  }
  for (CmekRegionSpec& spec : specs) {
    KEYHOLD_ASSIGN_OR_RETURN(spec.key_spec, CheckForm(view, spec));
    KEYHOLD_RETURN_IF_ERROR(CheckKeyOn(core, fleet, view.nodes.front(), spec));
  }
  return specs;
}

}  // namespace keyhold::control
