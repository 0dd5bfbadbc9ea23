// The key ring: a store's wrapped store key, its wrapped data keys, and the history of its CMEK keys.
//
// The file `keyring` in the store's directory, format in docs/formats/keyring.md and format.h. It is bound to
// cluster, region and store, authenticated as a whole under a key derived from the store key, and replaced
// atomically: a crash at any point leaves the old or the new ring. In clear the keys are in this process's
// secret memory alone, and wiped when the KeyRing goes.
//
// An older copy put back authenticates: it is noticed only by who knows the epoch that the ring once had
// (Expected::min_epoch).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/posix.h"
#include "crypto/random.h"
#include "crypto/rsa.h"
#include "keyring/data_keys.h"
#include "kms/kms.h"

namespace keyhold::keyring {

inline constexpr char kFileName[] = "keyring";

// What a store's wraps are bound to. Ids of 1 to 255 bytes, printable ASCII.
struct Identity {
  std::string cluster_id;
  std::string region;
  std::string store_id;

  bool operator==(const Identity&) const = default;
};

// The binding as a KMS takes it: "keyhold:cluster", "keyhold:region", "keyhold:store".
kms::Context ToContext(const Identity& identity);

// Where the ring lives and what it works with. All must outlive the KeyRing; `dir` is an open directory.
struct Place {
  Posix& posix;
  int dir;
  crypto::Random& random;
  Clock& clock;
  SealLimits limits = {};
};

// What a scan of the whole store found: nothing in it is under a data key older than `target`.
struct Proof {
  DataKeyId target = 0;
  absl::Time started_at;  // when the re-encryption began that it ended
  absl::Time ended_at;
  uint64_t blocks = 0;  // scanned: data sectors
  uint64_t maps = 0;    // map sectors
  uint64_t others = 0;  // identities, links' targets, extended attributes
  uint64_t files = 0;
  uint64_t directories = 0;
  uint64_t links = 0;

  bool operator==(const Proof&) const = default;
};

// What the caller knows about the ring that it opens.
struct Expected {
  std::optional<Identity> identity;
  uint64_t min_epoch = 0;
};

// A CMEK key (or NULL_KMS) that wraps or wrapped the store key.
struct KeyRecord {
  kms::KeySpec spec;
  bool active = false;         // it wraps the store key now; exactly one does
  bool guards_data = false;    // data keys from its time are still in use: data is not yet re-encrypted
  absl::Time created_at;       // when it came into force
  absl::Time updated_at;       // when that last changed
  std::optional<Proof> proof;  // that it guards no data any more, where that is still known
  std::string version;         // of the key, that wrapped the store key; empty: the KMS did not tell
};

enum class DataKeyState : uint8_t { kActive = 1, kRetired = 2, kDestroyed = 3 };

struct DataKeyRecord {
  DataKeyId id = 0;
  DataKeyState state = DataKeyState::kActive;
  absl::Time created_at;
  absl::Time updated_at;
  uint64_t seals = 0;  // boxes that were or may have been sealed under it: as reserved, on the disk
};

// A key that the store key is sealed to besides its CMEK key, so that it opens when the KMS is lost.
struct RecoveryRecord {
  std::string key_id;     // RsaPublicKey::Fingerprint()
  absl::Time created_at;  // when the store was first sealed to it
};

struct Info {
  Identity identity;
  uint64_t epoch = 0;                    // grows with every write of the file
  std::vector<KeyRecord> keys;           // newest first; the first is the active one
  std::vector<DataKeyRecord> data_keys;  // by id
  std::vector<Proof> proofs;             // oldest first
  std::optional<RecoveryRecord> recovery;
  std::optional<absl::Time> recovered_at;  // when a recovery key opened the store last
  std::optional<absl::Time> accepted_at;   // when it was put back and accepted last: AcceptRestored()
};

// Safe to use from any thread; Active, Find and GetInfo never wait for the KMS or the disk, KeyToSeal only
// where nothing is reserved any more. After a failed
// change the ring in memory is as before; the file is the old or the new one, and either opens all data.
class KeyRing final : public DataKeySource {
 public:
  // A new ring with a fresh store key, wrapped by `kms`, and one data key. kAlreadyExists when there is a
  // file already.
  static StatusOr<std::unique_ptr<KeyRing>> Create(const Place& place, const Identity& identity,
                                                   kms::Kms& kms, absl::Duration budget);

  // Unwraps the ring with `kms`, which must be the KMS of PeekKeyRing().spec; its kKms* causes pass through
  // untouched. kNotFound: no file. kCorrupt: damaged, or it does not authenticate. kFailedPrecondition: a
  // newer format, another store's ring, another key, or an older copy (`expected`).
  static StatusOr<std::unique_ptr<KeyRing>> Open(const Place& place, const Expected& expected, kms::Kms& kms,
                                                 absl::Duration budget);

  // The way in when the KMS is lost: opens the ring by its recovery key, wraps a new store key by `next` as
  // Rewrap() does, and writes down that it was recovered, in one atomic replace. Errors as of Open() and
  // Rewrap(); kFailedPrecondition: the store has no recovery key, or another one.
  static StatusOr<std::unique_ptr<KeyRing>> Recover(const Place& place, const Expected& expected,
                                                    const crypto::RsaPrivateKey& key, kms::Kms& next,
                                                    absl::Duration budget);
  ~KeyRing() override;

  // A new store key, wrapped by `next`, the data keys wrapped anew by it, and a new active data key: one
  // atomic replace. From NULL_KMS this is "enable", else "rotate"; the same spec means a new version of the
  // key. kFailedPrecondition to NULL_KMS: CMEK cannot be disabled.
  Status Rewrap(kms::Kms& next, absl::Duration budget);

  // Seals the store key to `key` from now on, after every Rewrap() too, instead of to the one before. Nothing
  // is written where it is sealed to it already.
  Status SetRecoveryKey(const crypto::RsaPublicKey& key);
  // Whoever has copies of the ring from before still opens them. OK where there is none.
  Status RemoveRecoveryKey();

  // Proves that `kms` still unwraps this ring's store key. kKmsCorrupt when it gives another one.
  Status Probe(kms::Kms& kms, absl::Duration budget) const;

  // A new active data key; the old one is retired.
  StatusOr<DataKeyId> AddDataKey();

  // For a ring that was put back from a copy, and is to be the latest from now on: an epoch above `above`,
  // a new active data key, for what the later ring has sealed under this one's is not known, and the time of
  // it. One atomic replace.
  Status AcceptRestored(uint64_t above);

  // Forgets a retired key for good: blocks still under it can never be read again. kFailedPrecondition for
  // the active key; OK when it is destroyed already.
  Status DestroyDataKey(DataKeyId id);

  // Forgets every retired key older than proof.target, and keeps the proof: one atomic replace. The ids,
  // oldest first; where there is none, nothing is written. kInvalidArgument: `target` is no key of this ring.
  StatusOr<std::vector<DataKeyId>> DestroyProven(const Proof& proof);

  Info GetInfo() const;

  // Gives back what is reserved and was not used: for whoever is done with the ring. Without it, as after a
  // crash, the reserve counts as used. Writes nothing where nothing was sealed.
  Status SettleSeals();

  DataKeyId Active() const override;
  StatusOr<DataKey> Find(DataKeyId id) const override;
  StatusOr<DataKeyId> KeyToSeal(uint64_t count) const override;

 private:
  class Impl;
  explicit KeyRing(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

// What a ring's file says about itself, before any unwrap: NOT authenticated, good only for choosing which
// KMS to ask. Errors as of Open.
struct Peeked {
  kms::KeySpec spec;
  Identity identity;
  uint64_t epoch = 0;
};
StatusOr<Peeked> PeekKeyRing(Posix& posix, int dir);

}  // namespace keyhold::keyring
