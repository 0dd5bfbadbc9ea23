// What a node does about its desired state while its store is open: SQL users, the CMEK key, the recovery
// key, the store's generation, re-encryption.
//
// Each is followed on a thread of its own: it may wait for PostgreSQL, for a KMS or for the disk, and must
// hold up neither a probe nor another.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "node/background.h"
#include "node/door.h"
#include "node/opened.h"
#include "node/remembered.h"
#include "node/status_board.h"

namespace keyhold::node {

// Safe to use from any thread.
class Following {
 public:
  // All of it outlives the object.
  struct Parts {
    Clock& clock;
    StatusBoard& board;
    Remembered& memory;
    Door& door;
    std::function<wire::DesiredNode()> desired;
    std::function<std::shared_ptr<Opened>()> opened;  // null: closed, and nothing is followed
  };

  explicit Following(Parts parts) : parts_(std::move(parts)) {}
  // The destructor waits for what is under way.

  // Each begins what is to be done about it, and returns.
  void StoreIsOpen();
  void DesiredIsNew();
  void EngineIsNew();

  // In the status, with its warning where it does not go on.
  void TellReencryption(const std::optional<wire::Reencryption>& now);

 private:
  absl::Duration FollowUsers();
  absl::Duration UsersFailed(const Status& status);
  absl::Duration FollowKey();
  bool TriesAgain(const Status& status);
  void KeyChanged(const keyring::Info& info, const wire::DesiredCmek& wanted, bool enables,
                  const Status& status);
  absl::Duration FollowRecovery();
  absl::Duration MakeGeneration();
  absl::Duration FollowReencryption();

  const Parts parts_;
  absl::Duration users_retry_;                             // zero: the last time went well
  absl::Time key_retried_since_ = absl::InfiniteFuture();  // of a key that does not answer

  // Last: they end before what they use.
  Background users_{[this] { return FollowUsers(); }};
  Background key_{[this] { return FollowKey(); }};
  Background recovery_{[this] { return FollowRecovery(); }};
  Background generation_{[this] { return MakeGeneration(); }};
  Background reencryption_{[this] { return FollowReencryption(); }};
};

}  // namespace keyhold::node
