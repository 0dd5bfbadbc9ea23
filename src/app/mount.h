// `keyhold mount` and `keyhold umount`: a store alone, under a cloud KMS key, as a directory for any program.
#pragma once

#include <string>

#include "base/status.h"
#include "kms/credentials.h"

namespace keyhold::app {

struct StoreMountOptions {
  std::string dir;         // the store: ciphertext and its key ring; empty or missing: a new one is made
  std::string mountpoint;  // an existing directory
  std::string key_spec;    // a key spec, or @FILE with one
  bool background = false;
  kms::Environment environment;  // credentials, proxy and CA variables, read by main()
};

// Mounts, prints a line starting "ready", and serves until `keyhold umount`, umount(8), SIGTERM or SIGINT; in
// the background it returns when the mount is there. To be called before any thread is made.
// kFailedPrecondition: the store is under another key than `key_spec`, or in use; kKms*: the key cannot be
// used, nothing is mounted.
Status RunStoreMount(const StoreMountOptions& options);

// Unmounts a store; what is dirty there is written first. Returns when the process that served it has let go
// of the store, or after ten seconds where that is mounted elsewhere too. kFailedPrecondition: something is
// open on it.
Status RunStoreUnmount(const std::string& mountpoint);

}  // namespace keyhold::app
