// Google's front end: from an HTTP request under one of Google's host names to the answer of Cloud KMS, the
// token service, IAM or the resource manager.
//
// One request is one transaction: it is authenticated, served and answered, or it changed nothing. Safe to
// use from any thread.
#pragma once

#include <string>

#include "localcloud/front.h"
#include "localcloud/gcp/call.h"

namespace keyhold::localcloud::gcp {

class Front {
 public:
  explicit Front(const FrontParts& parts) : parts_(parts) {}

  // The handler of `host`; an empty function for hosts that are not Google's.
  HttpHandler HandlerFor(const std::string& host);

  // Ends destruction windows and rotation periods that have passed; every request does so first.
  Status Sweep();

 private:
  struct Service;
  static const Service* FindService(const std::string& host);

  HttpResponse Handle(const Service& service, const HttpRequest& request);
  HttpResponse HandleOauth(const HttpRequest& request);
  StatusOr<Json> Serve(const Service& service, const HttpRequest& request, AccessEntry& record,
                       FaultHit& hit);

  const FrontParts parts_;
};

}  // namespace keyhold::localcloud::gcp
