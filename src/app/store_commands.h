// `keyhold store ...`: a store that is not mounted, looked at and worked on through the library alone.
#pragma once

#include <string>

#include "base/status.h"
#include "kms/credentials.h"

namespace keyhold::app {

struct StoreCommandOptions {
  std::string dir;                // the store
  std::string key_spec;           // a key spec, or @FILE with one; `info` needs none
  std::string path = "/";         // cat, ls, du: below the store's root
  bool json = false;              // info, status, verify, reencrypt
  bool forget_missing = false;    // verify: what is missing counts as deleted from now on
  bool new_data_key = false;      // reencrypt: under a fresh data key, else under the active one
  uint64_t bytes_per_second = 0;  // reencrypt; 0: no limit
  kms::Environment environment;   // credentials, proxy and CA variables, read by main()
};

// Results go to stdout, progress to stderr. All but info take the store's lock: kFailedPrecondition while it
// is mounted. Other errors as of StoreSession::Open and the store's own.

// A new store in an empty or missing directory.
Status RunStoreCreate(const StoreCommandOptions& options);
// What the key ring says about itself; without `key_spec` unauthenticated, and no KMS is asked.
Status RunStoreInfo(const StoreCommandOptions& options);
// How much is under which data key.
Status RunStoreStatus(const StoreCommandOptions& options);
// Authenticates every block, name, link and attribute. kCorrupt when something does not.
Status RunStoreVerify(const StoreCommandOptions& options);
// Puts everything under one data key, proves it, and destroys the data keys that are of no more use.
Status RunStoreReencrypt(const StoreCommandOptions& options);
Status RunStoreCat(const StoreCommandOptions& options);
Status RunStoreList(const StoreCommandOptions& options);
// Sizes of a directory's files, those below it included.
Status RunStoreUsage(const StoreCommandOptions& options);

}  // namespace keyhold::app
