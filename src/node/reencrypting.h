// What a node does about its store's re-encryption: it starts one where data keys are retired, again where a
// newer key came or a run failed, and destroys the old data keys when it is proved that nothing needs them.
//
// It keeps nothing on the disk of its own: whatever is retired in the key ring is work to do, so that a node
// that was killed or locked goes on when it is open again.
#pragma once

#include <optional>

#include "absl/time/time.h"
#include "keyring/keyring.h"
#include "store/reencrypt.h"
#include "wire/node.h"

namespace keyhold::node {

class Reencrypting {
 public:
  explicit Reencrypting(const store::ReencryptOptions& options) : options_(options) {}

  struct Step {
    std::optional<wire::Reencryption> now;            // nothing where there never was anything to do
    absl::Duration again = absl::InfiniteDuration();  // when to look again; infinite: when there is news
    bool destroyed = false;                           // data keys, by this step
  };

  // Looks, and does what is next; it waits for no more than a write of the ring. Not of two threads at a
  // time.
  Step Next(keyring::KeyRing& ring, store::Reencryption& work, absl::Time now);

 private:
  Step Failed(const store::ReencryptProgress& progress, const Status& why, absl::Duration again);

  const store::ReencryptOptions options_;
  absl::Time retry_at_ = absl::InfinitePast();  // of a run that failed
};

// What a key ring by itself tells of it: WAITING, DONE, or nothing.
std::optional<wire::Reencryption> ReencryptionOf(const keyring::Info& info);

}  // namespace keyhold::node
