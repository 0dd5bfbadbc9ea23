// What a node holds while it is open, put up and taken down in one order: key ring, mount, PostgreSQL.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "engine/postgres.h"
#include "keyring/keyring.h"
#include "node/node.h"
#include "node/reencrypting.h"
#include "store/mount.h"

namespace keyhold::node {

// How long a change of the key may take: its checks, and then its wrap.
inline constexpr absl::Duration kChangeBudget = absl::Seconds(6);

// What the key ring and the store have been already: what is older is a copy that was put back.
struct Past {
  uint64_t key_ring_epoch = 0;
  uint64_t store_generation = 0;
};

// What is there is older than what was: kFailedPrecondition.
Status OlderCopy(const Past& seen, const Past& found);

class Opened {
 public:
  // Opens the store of `desired` in options.dir/store with the key that wraps it (a store that is not there
  // yet is made, under the platform's key), mounts it and starts PostgreSQL. On failure nothing is left open.
  // The kKms* causes say what became of the key; kFailedPrecondition also: older than `past`. The store's
  // generation is a new one from here on. `on_engine_exit` as of Postgres::Start.
  static StatusOr<std::unique_ptr<Opened>> Open(const NodeOptions& options, const NodeParts& parts,
                                                const wire::DesiredNode& desired, const Past& past,
                                                std::function<void()> on_engine_exit);
  // Close() with no patience.
  ~Opened();

  // Of the thread that opened it, and not after Close().

  // Asks the KMS once whether it still unwraps the store key. kConflict: the key is just being changed, ask
  // again.
  Status Probe();

  // Starts PostgreSQL again after it ended by itself.
  Status RestartEngine();

  // Stops PostgreSQL, unmounts and wipes the keys: afterwards nothing of the store's content is on this
  // machine but ciphertext. What the calls below are waiting for ends first, or after kChangeBudget at the
  // latest. The status tells of a mount that was busy; it is gone all the same.
  Status Close();

  // Of any thread; kUnavailable once Close() has begun.

  bool closing() const { return closing_; }

  // Of the store, as it is written in it; still there after Close().
  uint64_t generation() const { return generation_; }
  void NextGeneration();

  StatusOr<keyring::Info> GetInfo() const;

  // Checks `spec`, wraps a new store key with it, and uses it from now on. Traffic and probes go on.
  Status UseKey(const kms::KeySpec& spec, const std::string& region);

  // Seals the store key to the recovery key `public_pem` (empty: to none) besides, where it is not already.
  Status UseRecoveryKey(const std::string& public_pem);

  // Brings re-encryption one step forward. Nothing while the key is being changed: ask again in a moment.
  // `max_age`: of the active data key.
  std::optional<Reencrypting::Step> Reencrypt(absl::Duration max_age);

  // May wait for PostgreSQL, and for what users do to it (Postgres::ApplyUsers).
  Status ApplyUsers(const std::vector<wire::SqlUser>& users);

 private:
  Opened(const NodeOptions& options, const NodeParts& parts, std::function<void()> on_engine_exit);
  Status OpenRing(const wire::DesiredNode& desired, uint64_t min_epoch);
  Status StartMount(uint64_t min_generation);
  Status CheckGeneration(uint64_t min_generation);
  void WriteGeneration();
  Status StartEngine();
  struct Keys {
    std::shared_ptr<keyring::KeyRing> ring;
    std::shared_ptr<kms::Kms> kms;
  };
  Keys KeysNow() const;

  const NodeOptions options_;
  const NodeParts parts_;
  const std::function<void()> on_engine_exit_;
  store::WriteCounter counter_;
  int store_ = -1;
  std::unique_ptr<store::Mount> mount_;
  std::atomic<bool> closing_ = false;

  std::mutex key_;  // held through a change of the key
  mutable std::mutex mutex_;
  std::shared_ptr<keyring::KeyRing> ring_;  // guarded by mutex_; replaced by Close() alone, which holds key_
  std::shared_ptr<kms::Kms> kms_;           // guarded by mutex_

  std::mutex work_;  // held through a step of re-encryption; taken before key_
  Reencrypting reencrypting_{store::ReencryptOptions{}};  // guarded by work_

  std::mutex generation_mutex_;  // held through a write of it
  std::atomic<uint64_t> generation_ = 0;

  std::mutex sql_;                            // held through a change of the users
  std::unique_ptr<engine::Postgres> engine_;  // replaced by the opening thread, which holds sql_
  std::vector<engine::SqlUser> users_;        // as last applied; guarded by sql_
  bool users_applied_ = false;                // guarded by sql_
};

}  // namespace keyhold::node
