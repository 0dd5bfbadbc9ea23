// `keyhold store recover`: the way back into a store whose KMS is lost, by its recovery key.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "kms/credentials.h"

namespace keyhold::app {

struct StoreRecoverOptions {
  std::string dir;                  // the store's, or that of the node that has it
  std::string recovery_file;        // path
  std::vector<std::string> shares;  // paths
  std::string key_spec;             // of the new CMEK key: a key spec, or @FILE with one
  bool json = false;
  kms::Environment environment;  // as of StoreCommandOptions: it is the new key's KMS that is asked
};

// Takes the store's lock: kFailedPrecondition while it is mounted. The new key is tried first. A node's ring
// that is older than the node or its server has seen is refused. Other errors as of recovery::OpenRecoveryKey
// and KeyRing::Recover; after one, the store is as it was.
Status RunStoreRecover(const StoreRecoverOptions& options);

}  // namespace keyhold::app
