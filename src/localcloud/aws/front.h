// AWS's front end: from an HTTP request under one of AWS's host names to the answer of KMS, STS or IAM.
//
// One request is one transaction: it is authenticated, served and answered, or it changed nothing. Safe to
// use from any thread.
#pragma once

#include <mutex>
#include <optional>
#include <string>

#include "base/clock.h"
#include "localcloud/access_log.h"
#include "localcloud/aws/call.h"
#include "localcloud/database.h"
#include "localcloud/http.h"
#include "localcloud/localcloud.h"
#include "localcloud/vault.h"

namespace keyhold::localcloud::aws {

class Front {
 public:
  // Everything given must outlive the object.
  Front(Database& database, const Vault& vault, AccessLog& log, Clock& clock)
      : database_(database), vault_(vault), log_(log), clock_(clock) {}

  // The handler of `host`; an empty function for hosts that are not AWS's.
  HttpHandler HandlerFor(const std::string& host);

  // See LocalCloud::SetFault().
  void SetFault(std::optional<Fault> fault);

  // Ends deletion windows and rotation periods that have passed; every request does so first.
  Status Sweep();

 private:
  HttpResponse Handle(const Endpoint& endpoint, const HttpRequest& request);
  StatusOr<std::string> Serve(const Endpoint& endpoint, const HttpRequest& request, AccessRecord& record);
  void Log(const Endpoint& endpoint, const AccessRecord& record, const Status& outcome);

  Database& database_;
  const Vault& vault_;
  AccessLog& log_;
  Clock& clock_;
  std::mutex mutex_;  // guards fault_
  std::optional<Fault> fault_;
};

}  // namespace keyhold::localcloud::aws
