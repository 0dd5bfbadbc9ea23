// Google's front end: from an HTTP request under one of Google's host names to the answer of Cloud KMS, the
// token service, IAM or the resource manager.
//
// One request is one transaction: it is authenticated, served and answered, or it changed nothing. Safe to
// use from any thread.
#pragma once

#include <mutex>
#include <optional>
#include <string>

#include "base/clock.h"
#include "localcloud/access_log.h"
#include "localcloud/database.h"
#include "localcloud/gcp/call.h"
#include "localcloud/http.h"
#include "localcloud/localcloud.h"
#include "localcloud/vault.h"

namespace keyhold::localcloud::gcp {

class Front {
 public:
  // Everything given must outlive the object.
  Front(Database& database, const Vault& vault, AccessLog& log, Clock& clock)
      : database_(database), vault_(vault), log_(log), clock_(clock) {}

  // The handler of `host`; an empty function for hosts that are not Google's.
  HttpHandler HandlerFor(const std::string& host);

  // See LocalCloud::SetFault(). The fault's type is one of google/rpc/code.proto.
  void SetFault(std::optional<Fault> fault);

  // Ends destruction windows and rotation periods that have passed; every request does so first.
  Status Sweep();

 private:
  struct Service;
  static const Service* FindService(const std::string& host);

  HttpResponse Handle(const Service& service, const HttpRequest& request);
  HttpResponse HandleOauth(const HttpRequest& request);
  StatusOr<Json> Serve(const Service& service, const HttpRequest& request, AccessRecord& record);
  std::optional<Fault> CurrentFault();
  AccessRecord NewRecord(const HttpRequest& request) const;
  void Log(const AccessRecord& record, const Status& outcome);

  Database& database_;
  const Vault& vault_;
  AccessLog& log_;
  Clock& clock_;
  std::mutex mutex_;  // guards fault_
  std::optional<Fault> fault_;
};

}  // namespace keyhold::localcloud::gcp
