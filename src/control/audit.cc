#include "control/audit.h"

#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>

namespace keyhold::control {

using nlohmann::json;

Audit::Audit(Core& core, const Caller& caller, std::string action, const json& payload)
    : core_(core), audited_(caller.audited) {
  event_.action = "AUDIT_LOG_ACTION_" + std::move(action);
  event_.source = caller.source;
  event_.service_account_name = caller.service_account_name;
  event_.ip_address = caller.ip_address;
  event_.payload = payload.dump(-1, ' ', false, json::error_handler_t::replace);
}

void Audit::About(const std::string& cluster_id, const std::string& cluster_name) {
  event_.cluster_id = cluster_id;
  event_.cluster_name = cluster_name;
}

Status Audit::Commit(const std::function<Status(Tables&)>& change) {
  const Status status = Change(core_, [&](Tables& tables) {
    KEYHOLD_RETURN_IF_ERROR(change(tables));
    tables.audit.Append(Event(""));
    return OkStatus();
  });
  if (status.ok() && audited_ != nullptr) *audited_ = true;
  return status;
}

void Audit::Refused(const Status& status) {
  if (audited_ != nullptr) *audited_ = true;
  const Status written = core_.store.Write([&](Tables& tables) {
    tables.audit.Append(Event(std::string(status.message())));
    return OkStatus();
  });
  if (!written.ok()) {
    spdlog::error("no audit event for a refused {}: {}", event_.action, std::string(written.message()));
  }
}

AuditEvent Audit::Event(std::string error) const {
  AuditEvent event = event_;
  event.id = crypto::NewUuid(core_.random);
  event.created_at = core_.clock.Now();
  event.error = std::move(error);
  return event;
}

void AuditRefusal(Core& core, const Caller& caller, const std::string& action, const std::string& cluster_id,
                  const Status& status) {
  if (caller.audited != nullptr && *caller.audited) return;
  Audit audit(core, caller, action, json::object());
  const auto view = ReadCluster(core, cluster_id, Deleted::kShow);
  if (view.ok()) audit.About(cluster_id, view->cluster.name);
  (void)audit.Outcome(status);
}

AuditEvent EventOfNode(Core& core, const Cluster& cluster, const std::string& action, const json& payload) {
  AuditEvent event;
  event.id = crypto::NewUuid(core.random);
  event.created_at = core.clock.Now();
  event.action = "AUDIT_LOG_ACTION_" + action;
  event.source = "AUDIT_LOG_SOURCE_INTERNAL";
  event.cluster_id = cluster.id;
  event.cluster_name = cluster.name;
  event.payload = payload.dump();
  return event;
}

}  // namespace keyhold::control
