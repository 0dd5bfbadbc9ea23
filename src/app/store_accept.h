// `keyhold store accept-restored`: an older store that was put back on purpose counts as the latest from now
// on.
#pragma once

#include <string>

#include "base/status.h"
#include "kms/credentials.h"

namespace keyhold::app {

struct StoreAcceptOptions {
  std::string dir;       // the store's, or that of the node that has it
  std::string key_spec;  // of the CMEK key that the store's key ring is under: a key spec, or @FILE with one
  bool yes = false;
  bool json = false;
  kms::Environment environment;  // as of StoreCommandOptions
};

// Takes the store's lock: kFailedPrecondition while it is mounted or served, without `yes`, under another
// key, or where the ring is from before CMEK was enabled. kKms*: the key cannot be used; nothing was changed
// then. kCorrupt: places do not authenticate; the rest was accepted. Other errors as of KeyRing::Open and
// store::AcceptRestored. What it did is in the log of the store's node too.
Status RunStoreAccept(const StoreAcceptOptions& options);

}  // namespace keyhold::app
