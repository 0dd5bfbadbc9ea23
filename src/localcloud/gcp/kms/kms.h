// Cloud KMS, REST v1: key rings, keys, versions, their IAM policies, encrypt and decrypt.
//
// https://cloud.google.com/kms/docs/reference/rest
#pragma once

#include "localcloud/gcp/call.h"

namespace keyhold::localcloud::gcp {

// Serves `call`; the answer's JSON, or an error of error.h.
StatusOr<Json> ServeKms(Call& call);

// Destroys versions and rotates keys whose time has come.
Status SweepKms(Store& store, const Vault& vault, absl::Time now);

}  // namespace keyhold::localcloud::gcp
