// AWS KMS, API version 2014-11-01 ("TrentService").
// docs.aws.amazon.com/kms/latest/APIReference and .../developerguide/key-state.html (what each key state
// allows).
//
// Operations that are not built answer UnknownOperationException; grants, UnsupportedOperationException.
#pragma once

#include <string>

#include "localcloud/aws/call.h"
#include "localcloud/json.h"

namespace keyhold::localcloud::aws {

// The answer of `operation` ("Encrypt") to the request `in`. Errors are AWS errors (error.h); after one, the
// caller rolls its transaction back. Encryption contexts, key and caller are noted in the call's record.
StatusOr<Json> ServeKms(Call& call, const std::string& operation, const Json& in);

// Ends what has ended by `now`: keys past their deletion window are destroyed, keys past their rotation
// period get new material. The same whoever calls first, and however late.
Status SweepKms(soci::session& sql, const Vault& vault, absl::Time now);

}  // namespace keyhold::localcloud::aws
