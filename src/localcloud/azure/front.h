// Azure's front end: from an HTTP request under one of Azure's host names to the answer of Entra ID, Resource
// Manager or a vault.
//
// One request is one transaction: it is authenticated, served and answered, or it changed nothing. Safe to
// use from any thread.
#pragma once

#include <mutex>
#include <optional>
#include <string>

#include "base/clock.h"
#include "localcloud/access_log.h"
#include "localcloud/azure/call.h"
#include "localcloud/database.h"
#include "localcloud/http.h"
#include "localcloud/localcloud.h"
#include "localcloud/vault.h"

namespace keyhold::localcloud::azure {

class Front {
 public:
  // Everything given must outlive the object.
  Front(Database& database, const Vault& hsm, AccessLog& log, Clock& clock)
      : database_(database), hsm_(hsm), log_(log), clock_(clock) {}

  // The handler of `host`; an empty function for hosts that are not Azure's, and for vaults that are not
  // there: their names do not resolve.
  HttpHandler HandlerFor(const std::string& host);

  // See LocalCloud::SetFault(); for requests to vaults.
  void SetFault(std::optional<Fault> fault);

  // Ends retentions that have passed and rotates what is due; every request to a vault does so first.
  Status Sweep();

 private:
  enum class Service { kLogin, kManagement, kVault };
  struct Place {
    Service service;
    std::string vault;  // its name
  };
  HttpResponse Handle(const Place& place, const HttpRequest& request);
  StatusOr<Result> Serve(const Place& place, const HttpRequest& request, AccessRecord& record,
                         HttpResponse& response);
  StatusOr<Result> ServeIn(soci::session& sql, const Place& place, const HttpRequest& request,
                           AccessRecord& record, HttpResponse& response);
  std::optional<KeyVault> FindVault(const std::string& name);
  void Log(const Place& place, const AccessRecord& record, const Status& outcome);

  Database& database_;
  const Vault& hsm_;
  AccessLog& log_;
  Clock& clock_;
  std::mutex mutex_;  // guards fault_
  std::optional<Fault> fault_;
};

}  // namespace keyhold::localcloud::azure
