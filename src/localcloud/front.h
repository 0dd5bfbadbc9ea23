// What the front ends of the three clouds stand on, and what they do alike: a record per request, the fault
// gate, the line in the access log.
#pragma once

#include "absl/functional/function_ref.h"
#include "base/clock.h"
#include "localcloud/access_log.h"
#include "localcloud/database.h"
#include "localcloud/fault_gate.h"
#include "localcloud/http.h"
#include "localcloud/vault.h"

namespace keyhold::localcloud {

// Everything outlives the front ends.
struct FrontParts {
  Database& database;
  const Vault& vault;
  AccessLog& log;
  Clock& clock;
  FaultGate& faults;

  // The record of `request` at `service`, as far as it is known at first.
  AccessEntry NewEntry(const HttpRequest& request, std::string service) const;

  // Serves a request in one transaction. `serve` does the work; `refusal` tells a fault that refuses in the
  // cloud's own words. Where such a fault was ordered, nothing of the request is carried out.
  Status Serve(AccessEntry& entry, FaultHit& hit, absl::FunctionRef<Status(soci::session&)> serve,
               absl::FunctionRef<Status(FaultKind)> refusal) const;

  // Writes `entry` with `status`'s message and `error`, the cloud's name of it. An error without a name is
  // our own failure: it is logged as `internal`, and said in this process's log.
  void Log(AccessEntry entry, const FaultHit& hit, const Status& status, const std::string& error,
           const char* internal) const;
};

}  // namespace keyhold::localcloud
