// oauth2.googleapis.com: tokens for assertions of service accounts (RFC 7523), and what a token says.
#pragma once

#include "localcloud/gcp/call.h"
#include "localcloud/http.h"

namespace keyhold::localcloud::gcp {

// POST /token and /tokeninfo. Errors are RFC 6749's {"error","error_description"}; the answer is whole.
HttpResponse ServeOauth(Store& store, const Vault& vault, const HttpRequest& request, absl::Time now,
                        AccessEntry& record, Status& outcome);

}  // namespace keyhold::localcloud::gcp
