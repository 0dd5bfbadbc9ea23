// What a node holds while it is open, put up and taken down in one order: key ring, mount, PostgreSQL.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "engine/postgres.h"
#include "keyring/keyring.h"
#include "node/node.h"
#include "store/mount.h"

namespace keyhold::node {

class Opened {
 public:
  // Opens the store of `desired` in options.dir/store with the key that wraps it (a store that is not there
  // yet is made, under the platform's key), mounts it and starts PostgreSQL. On failure nothing is left open.
  // The kKms* causes say what became of the key. `on_engine_exit` as of Postgres::Start.
  static StatusOr<std::unique_ptr<Opened>> Open(const NodeOptions& options, const NodeParts& parts,
                                                const wire::DesiredNode& desired, uint64_t min_epoch,
                                                std::function<void()> on_engine_exit);
  // Close() with no patience.
  ~Opened();

  keyring::KeyRing& ring() { return *ring_; }
  uint64_t corrupt_count() const { return mount_->corrupt_count(); }

  // Proves that the KMS still unwraps the store key; a refusal is confirmed at once by a second try.
  Status Probe();

  // Checks `spec`, wraps a new store key with it, and uses it from now on. Traffic goes on.
  Status UseKey(const kms::KeySpec& spec, const std::string& region);

  Status ApplyUsers(const std::vector<wire::SqlUser>& users);

  // Starts PostgreSQL again after it ended by itself.
  Status RestartEngine();

  // Stops PostgreSQL, unmounts and wipes the keys: afterwards nothing of the store's content is on this
  // machine but ciphertext. The status tells of a mount that was busy; it is gone all the same.
  Status Close();

 private:
  Opened(const NodeOptions& options, const NodeParts& parts, std::function<void()> on_engine_exit);
  Status OpenRing(const wire::DesiredNode& desired, uint64_t min_epoch);
  Status StartMount();
  Status StartEngine();

  const NodeOptions options_;
  const NodeParts parts_;
  const std::function<void()> on_engine_exit_;
  store::WriteCounter counter_;
  int store_ = -1;
  std::unique_ptr<kms::Kms> kms_;
  std::unique_ptr<keyring::KeyRing> ring_;
  std::unique_ptr<store::Mount> mount_;
  std::unique_ptr<engine::Postgres> engine_;
  std::vector<engine::SqlUser> users_;  // as last applied
  bool users_applied_ = false;
};

}  // namespace keyhold::node
