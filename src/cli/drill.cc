#include "cli/drill.h"

#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/text.h"
#include "cli/cmek.h"
#include "cli/connection.h"
#include "cli/key_spec.h"
#include "crypto/random.h"

namespace keyhold::cli {
namespace {

using nlohmann::json;

constexpr absl::Duration kPause = absl::Milliseconds(100);
constexpr absl::Duration kLimit = absl::Minutes(3);  // for each step
constexpr char kUser[] = "keyhold_drill";
constexpr char kRevoked[] = "was revoked";  // by the customer, as the gateway says it

std::string Stamp(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone());
}

class Drill {
 public:
  Drill(Session& session, const ApiClient& api, const json& cluster, const DrillOptions& options, json keys)
      : session_(session), api_(api), cluster_(cluster), options_(options), keys_(std::move(keys)) {
    report_ = {{"report", "keyhold cmek drill"},
               {"cluster", {{"id", Text(cluster, "id")}, {"name", Text(cluster, "name")}}},
               {"on", options.on_cluster ? "the cluster itself" : "a clone of its configuration"},
               {"server", api.server()},
               {"keys", keys_["region_specs"]},
               {"revoked_by", ByApi() ? "REVOKE of the Cloud API" : options.revoke_with},
               {"restored_by", ByApi() ? "PUT of the Cloud API" : options.restore_with},
               {"began_at", Stamp(session.environment().now())},
               {"steps", json::array()}};
    password_ = crypto::NewUuid(crypto::SystemRandom());
  }

  json Run() {
    Status status = Prove();
    const Status tidied = TidyUp();
    if (status.ok()) status = tidied;
    report_["passed"] = status.ok();
    if (!status.ok()) report_["error"] = std::string(status.message());
    report_["ended_at"] = Stamp(session_.environment().now());
    return std::move(report_);
  }

 private:
  Status Prove() {
    KEYHOLD_RETURN_IF_ERROR(options_.on_cluster ? UseCluster() : MakeClone());
    KEYHOLD_RETURN_IF_ERROR(Step("SQL is answered before", [&](json& step) { return AwaitSql(true, step); }));
    KEYHOLD_RETURN_IF_ERROR(Step("revocation locks", [&](json& step) { return Revoke(step); }));
    return Step("restoration returns", [&](json& step) { return Restore(step); });
  }

  bool ByApi() const { return options_.revoke_with.empty(); }

  Status Revoke(json& step) {
    revoked_ = true;
    KEYHOLD_RETURN_IF_ERROR(ByApi() ? api_.Send("PATCH", cmek_path_, {{"action", "REVOKE"}}).status()
                                    : RunCommand(options_.revoke_with));
    KEYHOLD_RETURN_IF_ERROR(AwaitSql(false, step));
    return ByApi() ? AwaitStatus("REVOKED") : AwaitField(ClusterPath(subject_), "state", "LOCKED");
  }

  Status Restore(json& step) {
    KEYHOLD_RETURN_IF_ERROR(ByApi() ? api_.Send("PUT", cmek_path_, keys_).status()
                                    : RunCommand(options_.restore_with));
    revoked_ = false;
    KEYHOLD_RETURN_IF_ERROR(AwaitSql(true, step));
    return ByApi() ? AwaitStatus("ENABLED") : AwaitField(ClusterPath(subject_), "state", "CREATED");
  }

  Status RunCommand(const std::string& command) {
    KEYHOLD_ASSIGN_OR_RETURN(const Ran ran, session_.environment().run_shell(command));
    if (ran.exit_code == 0) return OkStatus();
    return Error(Cause::kFailedPrecondition,
                 absl::StrCat("the command `", command, "` ended with ", ran.exit_code, ": ", ran.err));
  }

  Status UseCluster() {
    subject_ = cluster_;
    cmek_path_ = ClusterPath(subject_) + "/cmek";
    return MakeUser();
  }

  Status MakeClone() {
    const Status made = Step("a clone is made", [&](json& step) -> Status {
      KEYHOLD_ASSIGN_OR_RETURN(subject_, api_.Send("POST", "/clusters", CloneBody()));
      step["clone"] = {{"id", Text(subject_, "id")}, {"name", Text(subject_, "name")}};
      cmek_path_ = ClusterPath(subject_) + "/cmek";
      KEYHOLD_RETURN_IF_ERROR(AwaitField(ClusterPath(subject_), "state", "CREATED"));
      KEYHOLD_RETURN_IF_ERROR(CopyAllowlist());
      return CopyPolicy();
    });
    KEYHOLD_RETURN_IF_ERROR(made);
    KEYHOLD_RETURN_IF_ERROR(Step("CMEK is enabled on it", [&](json&) -> Status {
      KEYHOLD_RETURN_IF_ERROR(api_.Send("POST", cmek_path_, keys_).status());
      return AwaitStatus("ENABLED");
    }));
    return MakeUser();
  }

  json CloneBody() const {
    json nodes = json::object();
    for (const json& region : cluster_.value("regions", json::array())) nodes[Text(region, "name")] = 1;
    const std::string suffix = crypto::NewUuid(crypto::SystemRandom()).substr(0, 8);
    return {{"name", absl::StrCat("drill-", Text(cluster_, "id").substr(0, 8), "-", suffix)},
            {"provider", Text(cluster_, "cloud_provider")},
            {"spec",
             {{"plan", "ADVANCED"},
              {"advanced_security_add_on", true},
              {"dedicated", {{"region_nodes", nodes}}}}}};
  }

  Status CopyAllowlist() {
    const std::string list = "/networking/allowlist";
    KEYHOLD_ASSIGN_OR_RETURN(const json entries, api_.List(ClusterPath(cluster_) + list, "allowlist"));
    for (const json& entry : entries) {
      const std::string path =
          absl::StrCat(ClusterPath(subject_), list, "/", PercentEncoded(Text(entry, "cidr_ip")), "/",
                       Text(entry, "cidr_mask"));
      const json body = {{"name", Text(entry, "name")},
                         {"sql", entry.value("sql", false)},
                         {"ui", entry.value("ui", false)}};
      KEYHOLD_RETURN_IF_ERROR(api_.Send("PUT", path, body).status());
    }
    return OkStatus();
  }

  Status CopyPolicy() {
    const json policy = cluster_.value("cmek_config", json::object()).value("policy", json::object());
    if (policy.value("is_default", true)) return OkStatus();
    return api_.Send("PUT", cmek_path_ + "/policy", {{"unreachable", Text(policy, "unreachable")}}).status();
  }

  Status MakeUser() {
    KEYHOLD_RETURN_IF_ERROR(
        api_.Send("POST", ClusterPath(subject_) + "/sql-users", {{"name", kUser}, {"password", password_}})
            .status());
    has_user_ = true;
    for (const json& region : subject_.value("regions", json::array())) {
      KEYHOLD_ASSIGN_OR_RETURN(
          Connection connection,
          ConnectionTo(session_, api_, subject_, {Text(region, "name"), "defaultdb", kUser}));
      connections_.emplace_back(Text(region, "name"), std::move(connection));
    }
    return OkStatus();
  }

  // Nothing of the clone is left; the cluster itself, and a key that was taken away, are as they were before,
  // though the drill has failed.
  Status TidyUp() {
    if (options_.on_cluster) return LeaveCluster();
    const Status given_back = revoked_ && !ByApi() ? RunCommand(options_.restore_with) : OkStatus();
    const Status gone = DeleteClone();
    return given_back.ok() ? gone : given_back;
  }

  Status DeleteClone() {
    if (Text(subject_, "id").empty()) return OkStatus();
    return Step("the clone is deleted", [&](json&) -> Status {
      KEYHOLD_RETURN_IF_ERROR(api_.Delete(ClusterPath(subject_)).status());
      return AwaitField(ClusterPath(subject_), "state", "DELETED");
    });
  }

  Status LeaveCluster() {
    Status status;
    if (revoked_) status = Step("the cluster is brought back", [&](json& step) { return Restore(step); });
    if (!has_user_) return status;
    const Status deleted = api_.Delete(ClusterPath(subject_) + "/sql-users/" + kUser).status();
    return status.ok() ? deleted : status;
  }

  // One line of the report, however it ends.
  Status Step(const std::string& name, const std::function<Status(json&)>& act) {
    session_.output().Progress(name);
    const absl::Time start = session_.environment().now();
    json step = {{"name", name}, {"at", Stamp(start)}};
    const Status status = act(step);
    step["seconds"] = absl::ToDoubleSeconds(session_.environment().now() - start);
    step["passed"] = status.ok();
    if (!status.ok()) step["error"] = std::string(status.message());
    report_["steps"].push_back(std::move(step));
    return Annotate(status, name);
  }

  // Until `done`, for kLimit at most.
  Status Await(const std::string& what, const std::function<StatusOr<bool>()>& done) {
    const absl::Time deadline = session_.environment().now() + kLimit;
    while (true) {
      KEYHOLD_ASSIGN_OR_RETURN(const bool ended, done());
      if (ended) return OkStatus();
      if (session_.environment().now() >= deadline) {
        return Error(Cause::kUnavailable, absl::StrCat(what, ": not within ", absl::FormatDuration(kLimit)));
      }
      session_.environment().pause(kPause);
    }
  }

  Status AwaitField(const std::string& path, const char* field, const std::string& wanted) {
    return Await(absl::StrCat(field, " ", wanted), [&]() -> StatusOr<bool> {
      KEYHOLD_ASSIGN_OR_RETURN(const json now, api_.Get(path));
      const std::string value = Text(now, field);
      if (!absl::EndsWith(value, "_FAILED")) return value == wanted;
      return Error(Cause::kFailedPrecondition, absl::StrCat(field, " is ", value));
    });
  }
  Status AwaitStatus(const std::string& status) { return AwaitField(cmek_path_, "status", status); }

  // psql in every region: answered, or refused because of the revocation, and for no other reason.
  Status AwaitSql(bool answered, json& step) {
    const absl::Time start = session_.environment().now();
    for (const auto& [region, connection] : connections_) {
      const std::string why = ByApi() ? kRevoked : KeyOf(region);
      std::string told;
      KEYHOLD_RETURN_IF_ERROR(Await("SQL in " + region, [&, &where = connection]() -> StatusOr<bool> {
        KEYHOLD_ASSIGN_OR_RETURN(const Ran ran, Ask(where));
        told = ran.exit_code == 0 ? ran.out : ran.err;
        return answered ? ran.exit_code == 0 : ran.exit_code != 0 && absl::StrContains(ran.err, why);
      }));
      json line = {{"region", region},
                   {"seconds", absl::ToDoubleSeconds(session_.environment().now() - start)}};
      if (!answered) line["sql_refused_with"] = told;
      step["regions"].push_back(std::move(line));
    }
    return OkStatus();
  }

  std::string KeyOf(const std::string& region) const {
    for (const json& spec : keys_["region_specs"]) {
      if (Text(spec, "region") == region) return Text(spec["key_spec"], "uri");
    }
    return "";
  }

  StatusOr<Ran> Ask(const Connection& connection) {
    return session_.environment().run_psql(
        {"psql", UrlOf(connection, "") + "&connect_timeout=10", "-XAtq", "-w", "-c", "SELECT 1"},
        PasswordFile(password_));
  }

  Session& session_;
  const ApiClient& api_;
  const json& cluster_;
  const DrillOptions options_;
  const json keys_;
  json report_;
  json subject_;  // the clone, or the cluster itself
  std::string cmek_path_;
  std::string password_;
  bool has_user_ = false;
  bool revoked_ = false;
  std::vector<std::pair<std::string, Connection>> connections_;  // by region
};

}  // namespace

StatusOr<json> RunDrill(Session& session, const ApiClient& api, const json& cluster,
                        const DrillOptions& options) {
  const std::string status = Text(cluster.value("cmek_config", json::object()), "status");
  const std::string state = Text(cluster, "state");
  if (status != "ENABLED" || state != "CREATED") {
    return Error(Cause::kFailedPrecondition,
                 absl::StrCat("a drill needs a cluster that serves with CMEK ENABLED: ",
                              Text(cluster, "name"), " is ", state, ", its CMEK ", status,
                              "; ccloud cluster info ", Text(cluster, "name"), " says more"));
  }
  if (options.key_spec.empty()) return Drill(session, api, cluster, options, KeysInForce(cluster)).Run();
  std::vector<std::string> regions;
  for (const json& region : cluster.value("regions", json::array())) regions.push_back(Text(region, "name"));
  KEYHOLD_ASSIGN_OR_RETURN(json keys, ParseKeySpec(options.key_spec, regions));
  return Drill(session, api, cluster, options, std::move(keys)).Run();
}

}  // namespace keyhold::cli
