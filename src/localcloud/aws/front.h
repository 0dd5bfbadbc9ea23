// AWS's front end: from an HTTP request under one of AWS's host names to the answer of KMS, STS or IAM.
//
// One request is one transaction: it is authenticated, served and answered, or it changed nothing. Safe to
// use from any thread.
#pragma once

#include <string>

#include "localcloud/aws/call.h"
#include "localcloud/front.h"

namespace keyhold::localcloud::aws {

class Front {
 public:
  explicit Front(const FrontParts& parts) : parts_(parts) {}

  // The handler of `host`; an empty function for hosts that are not AWS's.
  HttpHandler HandlerFor(const std::string& host);

  // Ends deletion windows and rotation periods that have passed; every request does so first.
  Status Sweep();

 private:
  HttpResponse Handle(const Endpoint& endpoint, const HttpRequest& request);
  StatusOr<std::string> Serve(const Endpoint& endpoint, const HttpRequest& request, AccessEntry& record,
                              FaultHit& hit);

  const FrontParts parts_;
};

}  // namespace keyhold::localcloud::aws
