// The audit log: one event for each change that someone asked for, made or refused.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "control/core.h"

namespace keyhold::control {

// One request for a change. The event of a change that is made is written in its transaction; that of one
// that is refused, by Outcome().
class Audit {
 public:
  // `action` is the Cloud API's name without AUDIT_LOG_ACTION_; `payload` has no secrets. Text in it that
  // is not UTF-8 is written with replacement characters.
  Audit(Core& core, const Caller& caller, std::string action, const nlohmann::json& payload);

  // Which cluster the event is about, as soon as that is known.
  void About(const std::string& cluster_id, const std::string& cluster_name);

  // `change` and its event in one transaction, and the bell after it.
  Status Commit(const std::function<Status(Tables&)>& change);

  // Returns `result` as it is, after having written the event of a refusal if it is an error.
  template <typename Result>
  Result Outcome(Result result) {
    if (!result.ok()) Refused(StatusOf(result));
    return result;
  }

 private:
  static const Status& StatusOf(const Status& status) { return status; }
  template <typename T>
  static const Status& StatusOf(const StatusOr<T>& result) {
    return result.status();
  }
  void Refused(const Status& status);
  AuditEvent Event(std::string error) const;

  Core& core_;
  AuditEvent event_;
  std::shared_ptr<bool> audited_;
};

// For a change that was refused before a service was asked for it: the event, unless there is one already.
void AuditRefusal(Core& core, const Caller& caller, const std::string& action, const std::string& cluster_id,
                  const Status& status);

// What a node told of its store, without anybody's request.
AuditEvent EventOfNode(Core& core, const Cluster& cluster, const std::string& action,
                       const nlohmann::json& payload);

}  // namespace keyhold::control
