#include "localcloud/front.h"

#include <spdlog/spdlog.h>

#include "localcloud/sql.h"

namespace keyhold::localcloud {

AccessEntry FrontParts::NewEntry(const HttpRequest& request, std::string service) const {
  AccessEntry entry;
  entry.service = std::move(service);
  entry.request_id = crypto::NewUuid(vault.random());
  entry.source = request.source_address;
  return entry;
}

Status FrontParts::Serve(AccessEntry& entry, FaultHit& hit, absl::FunctionRef<Status(soci::session&)> serve,
                         absl::FunctionRef<Status(FaultKind)> refusal) const {
  return database.Transact([&](soci::session& sql) -> Status {
    Status served = serve(sql);
    hit = faults.Decide(entry, served.ok());
    if (!Refuses(hit)) return served;
    if (IsSilent(hit)) return Error(Cause::kUnavailable, "not answered: a fault that was ordered");
    return refusal(*hit.kind);
  });
}

void FrontParts::Log(AccessEntry entry, const FaultHit& hit, const Status& status, const std::string& error,
                     const char* internal) const {
  entry.time = clock.Now();
  entry.message = std::string(status.message());
  entry.outcome = status.ok() ? "OK" : IsSilent(hit) ? "NoAnswer" : error.empty() ? internal : error;
  if (!status.ok() && !IsSilent(hit) && error.empty())
    spdlog::error("local cloud: {} failed: {}", entry.action, entry.message);
  const Status logged = log.Append(entry);
  if (!logged.ok()) spdlog::error("local cloud: {}", std::string(logged.message()));
}

}  // namespace keyhold::localcloud
