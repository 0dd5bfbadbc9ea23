// Azure's front end: from an HTTP request under one of Azure's host names to the answer of Entra ID, Resource
// Manager or a vault.
//
// One request is one transaction: it is authenticated, served and answered, or it changed nothing. Safe to
// use from any thread.
#pragma once

#include <optional>
#include <string>

#include "localcloud/azure/call.h"
#include "localcloud/front.h"

namespace keyhold::localcloud::azure {

class Front {
 public:
  explicit Front(const FrontParts& parts) : parts_(parts) {}

  // The handler of `host`; an empty function for hosts that are not Azure's, and for vaults that are not
  // there: their names do not resolve.
  HttpHandler HandlerFor(const std::string& host);

  // Ends retentions that have passed and rotates what is due; every request to a vault does so first.
  Status Sweep();

 private:
  enum class Service { kLogin, kManagement, kVault };
  struct Place {
    Service service;
    std::string vault;  // its name
  };
  HttpResponse Handle(const Place& place, const HttpRequest& request);
  StatusOr<Result> Serve(const Place& place, const HttpRequest& request, AccessEntry& record, FaultHit& hit,
                         HttpResponse& response);
  StatusOr<Result> ServeIn(soci::session& sql, const Place& place, const HttpRequest& request,
                           AccessEntry& record, HttpResponse& response);
  std::optional<KeyVault> FindVault(const std::string& name);

  const FrontParts parts_;
};

}  // namespace keyhold::localcloud::azure
