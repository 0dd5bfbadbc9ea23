// What a node does about its store's data keys: it makes a new one when the active one is of age, re-encrypts
// where others are retired, again where a newer one came or a run failed, and destroys the old ones when it
// is proved that nothing needs them.
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
    bool ring_changed = false;                        // by this step: keys were made or destroyed
  };

  // Looks, and does what is next; it waits for no more than a write of the ring. Not of two threads at a
  // time.
  // `max_age`: of the active data key.
  Step Next(keyring::KeyRing& ring, store::Reencryption& work, absl::Time now, absl::Duration max_age);

 private:
  Step Settled(keyring::KeyRing& ring, absl::Time now, absl::Duration max_age);
  Step GoOn(keyring::KeyRing& ring, store::Reencryption& work, absl::Time now);
  static Step Failed(const wire::Reencryption& now, const Status& why, absl::Duration again);

  const store::ReencryptOptions options_;
  absl::Time retry_at_ = absl::InfinitePast();  // of a run that failed
};

// What a key ring by itself tells of it: WAITING, DONE, or nothing.
std::optional<wire::Reencryption> ReencryptionOf(const keyring::Info& info);

// As a node that closes leaves it: what was under way waits, as far as it was.
std::optional<wire::Reencryption> AsLeft(std::optional<wire::Reencryption> now);

}  // namespace keyhold::node
