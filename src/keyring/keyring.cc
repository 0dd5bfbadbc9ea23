#include "keyring/keyring.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>

#include <spdlog/spdlog.h>

#include "absl/strings/str_cat.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "keyring/file.h"
#include "keyring/format.h"
#include "keyring/recovery_seal.h"

namespace keyhold::keyring {
namespace {

using StoreKey = crypto::Key<struct StoreKeyTag>;
using MacKey = crypto::Key<struct RingMacKeyTag>;
using WrapKey = crypto::Key<struct DataKeyWrapKeyTag>;

// Of one data key. Who seals adds first, and seals only where the sum is not above `reserved`, which is never
// above the count in the file: so no more was ever sealed than the file says.
struct SealCount {
  explicit SealCount(const DataKeyEntry& entry)
      : key(entry.id), sealed(entry.seals), reserved(entry.seals), enough(entry.seals) {}

  const DataKeyId key;
  std::atomic<uint64_t> sealed;    // or about to be
  std::atomic<uint64_t> reserved;  // as all below changed under the ring's writing lock alone
  std::atomic<uint64_t> enough;    // at most `reserved`: up to here, no more need be reserved
};

// A ring with its keys in clear. Never changed once made, but for the count: a change makes another one.
struct State {
  Contents contents;
  std::shared_ptr<const StoreKey> store_key;
  std::map<DataKeyId, std::shared_ptr<const DataKey>> data_keys;  // those that are not destroyed
  std::shared_ptr<SealCount> seals;                               // of the active key
};
using StatePtr = std::shared_ptr<const State>;

Status Refused(std::string_view why) { return Error(Cause::kFailedPrecondition, why); }

Status UsedUp(DataKeyId key, const Status& another) {
  return Error(
      Cause::kResourceExhausted,
      absl::StrCat("data key ", key, " has sealed all the boxes that it may, and no other can be made",
                   another.ok() ? "" : ": ", another.message()));
}

crypto::Sha256Digest MacOf(const StoreKey& store_key, std::string_view body) {
  const auto key = crypto::DeriveKey<MacKey>(store_key.Expose(), crypto::AsBytes(kMacKeyInfo));
  return crypto::HmacSha256(key.Expose(), crypto::AsBytes(body));
}

// Times are kept to the microsecond: they are the same before and after the file.
absl::Time Micros(absl::Time time) { return absl::FromUnixMicros(absl::ToUnixMicros(time)); }
absl::Time NowOf(const Place& place) { return Micros(place.clock.Now()); }

void WrapDataKey(const State& state, crypto::Random& random, DataKeyEntry& entry) {
  const auto wrap_key = crypto::DeriveKey<WrapKey>(state.store_key->Expose(), crypto::AsBytes(kWrapKeyInfo));
  entry.wrapped = crypto::SealBox(wrap_key.Expose(), random,
                                  crypto::AsBytes(DataKeyBinding(entry.id, state.contents.identity)),
                                  state.data_keys.at(entry.id)->Expose());
}

Status UnwrapDataKeys(State& state) {
  const auto wrap_key = crypto::DeriveKey<WrapKey>(state.store_key->Expose(), crypto::AsBytes(kWrapKeyInfo));
  for (const DataKeyEntry& entry : state.contents.data_keys) {
    if (entry.state == DataKeyState::kDestroyed) continue;
    KEYHOLD_ASSIGN_OR_RETURN(
        crypto::SecretBytes bytes,
        crypto::OpenBox(wrap_key.Expose(), crypto::AsBytes(DataKeyBinding(entry.id, state.contents.identity)),
                        crypto::AsBytes(entry.wrapped)));
    KEYHOLD_ASSIGN_OR_RETURN(DataKey key, DataKey::From(std::move(bytes)));
    state.data_keys[entry.id] = std::make_shared<const DataKey>(std::move(key));
  }
  return OkStatus();
}

void Destroy(State& state, DataKeyEntry& entry, absl::Time now) {
  entry.state = DataKeyState::kDestroyed;
  entry.updated_at = now;
  entry.wrapped.clear();
  state.data_keys.erase(entry.id);
}

bool IsProven(const DataKeyEntry& entry, const Proof& proof) {
  return entry.state == DataKeyState::kRetired && entry.id < proof.target;
}

void Keep(std::vector<Proof>& proofs, Proof proof) {
  if (!proofs.empty() && proofs.back().target >= proof.target) return;
  proof.started_at = Micros(proof.started_at);
  proof.ended_at = Micros(proof.ended_at);
  proofs.push_back(proof);
  if (proofs.size() > kMaxProofs) proofs.erase(proofs.begin());
}

// Makes room in a full list: destroyed keys are kept as a record only.
Status DropOldestDestroyed(Contents& contents) {
  if (contents.data_keys.size() < kMaxDataKeys) return OkStatus();
  const auto oldest =
      std::find_if(contents.data_keys.begin(), contents.data_keys.end(),
                   [](const DataKeyEntry& key) { return key.state == DataKeyState::kDestroyed; });
  if (oldest == contents.data_keys.end()) {
    return Error(Cause::kResourceExhausted,
                 "the key ring has 4096 data keys in use; wait until re-encryption has freed some");
  }
  contents.data_keys.erase(oldest);
  return OkStatus();
}

// Adds a fresh active data key to a state that is being made.
Status AddFreshDataKey(State& state, const Place& place) {
  Contents& contents = state.contents;
  KEYHOLD_RETURN_IF_ERROR(DropOldestDestroyed(contents));
  const absl::Time now = NowOf(place);
  if (!contents.data_keys.empty()) {
    DataKeyEntry& retiring = contents.data_keys.back();
    retiring.state = DataKeyState::kRetired;
    retiring.updated_at = now;
  }
  DataKeyEntry entry{contents.next_data_key++, DataKeyState::kActive, now, now, "", 0};
  state.data_keys[entry.id] = std::make_shared<const DataKey>(crypto::NewKey<DataKey>(place.random));
  WrapDataKey(state, place.random, entry);
  contents.data_keys.push_back(std::move(entry));
  return OkStatus();
}

// The spec is compared first, so that no KMS is asked about a key that it was not opened for: after a rewrap,
// a prober that still holds the old KMS must not read its refusal as a revocation.
StatusOr<StoreKey> UnwrapStoreKey(const Contents& contents, kms::Kms& kms, absl::Duration budget) {
  const KeyEntry& active = contents.keys.front();
  if (kms.Spec().type != active.spec.type || kms.Spec().uri != active.spec.uri) {
    return Refused(absl::StrCat("the key ring needs the key ", active.spec.uri, ", and was opened with ",
                                kms.Spec().uri));
  }
  KEYHOLD_ASSIGN_OR_RETURN(crypto::SecretBytes bytes,
                           kms.Unwrap(crypto::AsBytes(active.wrapped), ToContext(contents.identity), budget));
  auto key = StoreKey::From(std::move(bytes));
  if (key.ok()) return key;
  return Error(Cause::kKmsCorrupt,
               absl::StrCat("the KMS unwrapped a store key of another size with the key ", active.spec.uri));
}

// Wraps the state's store key and proves that `kms` opens it again, before anything depends on it.
Status WrapStoreKey(State& state, const Place& place, kms::Kms& kms, absl::Duration budget) {
  const absl::Time deadline = place.clock.Now() + budget;
  const kms::Context context = ToContext(state.contents.identity);
  KEYHOLD_ASSIGN_OR_RETURN(kms::Wrapped wrapped, kms.Wrap(state.store_key->Expose(), context, budget));
  KEYHOLD_ASSIGN_OR_RETURN(const crypto::SecretBytes opened,
                           kms.Unwrap(crypto::AsBytes(wrapped.bytes), context, deadline - place.clock.Now()));
  if (!crypto::ConstantTimeEqual(opened.Expose(), state.store_key->Expose())) {
    return Error(Cause::kKmsCorrupt,
                 absl::StrCat("the KMS does not unwrap what it wrapped with the key ", kms.Spec().uri));
  }
  const absl::Time now = NowOf(place);
  std::vector<KeyEntry>& keys = state.contents.keys;
  if (!keys.empty()) {
    keys.front().wrapped.clear();
    keys.front().updated_at = now;
  }
  keys.insert(keys.begin(), {kms.Spec(), now, now, state.contents.next_data_key, std::move(wrapped.bytes),
                             std::move(wrapped.version)});
  if (keys.size() > kMaxKeys) keys.pop_back();
  return OkStatus();
}

// To the public key of `entry`.
StatusOr<std::string> SealStoreKey(const State& state, const RecoveryEntry& entry) {
  KEYHOLD_ASSIGN_OR_RETURN(const auto key, crypto::RsaPublicKey::FromPem(entry.public_key));
  return Seal(key, state.store_key->Expose(), state.contents.identity);
}

// A new store key, wrapped by `next` and sealed to the recovery key, and all data keys under it.
Status ChangeStoreKey(State& state, const Place& place, kms::Kms& next, absl::Duration budget) {
  if (next.Spec().type == kms::KeyType::kNullKms) {
    return Refused("CMEK cannot be disabled once it is enabled; rotate to another CMEK key instead");
  }
  state.store_key = std::make_shared<const StoreKey>(crypto::NewKey<StoreKey>(place.random));
  KEYHOLD_RETURN_IF_ERROR(WrapStoreKey(state, place, next, budget));
  if (auto& recovery = state.contents.recovery) {
    KEYHOLD_ASSIGN_OR_RETURN(recovery->sealed, SealStoreKey(state, *recovery));
  }
  for (DataKeyEntry& entry : state.contents.data_keys) {
    if (entry.state != DataKeyState::kDestroyed) WrapDataKey(state, place.random, entry);
  }
  return AddFreshDataKey(state, place);
}

// The store key as the recovery key opens it.
StatusOr<StoreKey> UnsealStoreKey(const Contents& contents, const crypto::RsaPrivateKey& key) {
  if (!contents.recovery) {
    return Refused("the store has no recovery key: it opens only with its CMEK key");
  }
  KEYHOLD_ASSIGN_OR_RETURN(const auto wanted, crypto::RsaPublicKey::FromPem(contents.recovery->public_key));
  KEYHOLD_ASSIGN_OR_RETURN(const auto given, crypto::RsaPublicKey::FromPem(key.PublicPem()));
  if (given.Fingerprint() != wanted.Fingerprint()) {
    return Refused(absl::StrCat("the store is sealed to the recovery key ",
                                wanted.Fingerprint().substr(0, 16), ", not to ",
                                given.Fingerprint().substr(0, 16)));
  }
  KEYHOLD_ASSIGN_OR_RETURN(crypto::SecretBytes bytes,
                           Unseal(key, crypto::AsBytes(contents.recovery->sealed), contents.identity));
  return StoreKey::From(std::move(bytes));
}

// The state of a ring whose store key is known.
StatusOr<StatePtr> Authenticated(Decoded decoded, StoreKey store_key) {
  if (!crypto::ConstantTimeEqual(MacOf(store_key, decoded.body), crypto::AsBytes(decoded.mac))) {
    return Error(Cause::kCorrupt,
                 "the key ring does not authenticate: it was altered; restore the latest copy");
  }
  auto state = std::make_shared<State>();
  state->contents = std::move(decoded.contents);
  state->store_key = std::make_shared<const StoreKey>(std::move(store_key));
  KEYHOLD_RETURN_IF_ERROR(UnwrapDataKeys(*state));
  state->seals = std::make_shared<SealCount>(state->contents.data_keys.back());
  return state;
}

Status CheckExpected(const Contents& contents, const Expected& expected) {
  if (expected.identity.has_value() && *expected.identity != contents.identity) {
    const Identity& found = contents.identity;
    return Refused(absl::StrCat("the key ring belongs to store ", found.store_id, " of cluster ",
                                found.cluster_id, " in ", found.region, ", not to this one"));
  }
  if (contents.epoch < expected.min_epoch) {
    return Refused(absl::StrCat("the key ring is an older copy: its epoch is ", contents.epoch,
                                ", and epoch ", expected.min_epoch,
                                " has been in force; put the latest key ring back"));
  }
  return OkStatus();
}

Status Store(const State& state, const Place& place, Existing existing) {
  std::string body = EncodeBody(state.contents);
  const crypto::Sha256Digest mac = MacOf(*state.store_key, body);
  return WriteRing(place.posix, place.dir, WithTrailer(std::move(body), mac), existing);
}

std::optional<RecoveryRecord> RecoveryOf(const Contents& contents) {
  if (!contents.recovery) return std::nullopt;
  const auto key = crypto::RsaPublicKey::FromPem(contents.recovery->public_key);
  return RecoveryRecord{key.ok() ? key->Fingerprint() : "", contents.recovery->created_at};
}

}  // namespace

class KeyRing::Impl {
 public:
  Impl(const Place& place, StatePtr state) : place_(place), state_(std::move(state)) {}

  StatePtr Current() const {
    const std::lock_guard lock(mutex_);
    return state_;
  }

  // Runs `change` on a copy of the state, writes the result, and only then puts it in force.
  template <typename Change>
  Status Update(Change change) {
    const std::lock_guard one_at_a_time(writing_);
    return UpdateAlone(change);
  }

  StatusOr<DataKeyId> KeyToSeal(uint64_t count);
  Status SettleSeals();

  const Place& place() const { return place_; }

 private:
  // writing_ is held.
  template <typename Change>
  Status UpdateAlone(Change change) {
    // Readers keep the old state, and its keys, until they let go of it; nothing waits for the KMS or the
    // disk.
    auto next = std::make_shared<State>(*Current());
    KEYHOLD_RETURN_IF_ERROR(change(*next));
    ++next->contents.epoch;
    KEYHOLD_RETURN_IF_ERROR(Store(*next, place_, Existing::kReplace));
    const DataKeyEntry& active = next->contents.data_keys.back();
    if (active.id != next->seals->key) next->seals = std::make_shared<SealCount>(active);
    const std::lock_guard lock(mutex_);
    state_ = std::move(next);
    return OkStatus();
  }
  Status ReserveSeals(SealCount& seals, uint64_t sum);
  void TellOfSeals(const SealCount& seals, const Status& written, const Status& another);

  const Place place_;
  std::mutex writing_;  // held through a change; taken before mutex_
  mutable std::mutex mutex_;
  StatePtr state_;       // guarded by mutex_
  bool warned_ = false;  // of seals that cannot be counted; guarded by writing_
};

StatusOr<DataKeyId> KeyRing::Impl::KeyToSeal(uint64_t count) {
  while (true) {
    const std::shared_ptr<SealCount> seals = Current()->seals;
    const uint64_t sum = seals->sealed.fetch_add(count) + count;
    if (sum <= seals->enough) return seals->key;
    const Status reserved = ReserveSeals(*seals, sum);
    if (sum <= seals->reserved) return seals->key;
    seals->sealed.fetch_sub(count);
    KEYHOLD_RETURN_IF_ERROR(reserved);
    // Another key is active now.
  }
}

// The next part, or the next key. OK also where another key has become active.
Status KeyRing::Impl::ReserveSeals(SealCount& seals, uint64_t sum) {
  std::unique_lock writing(writing_, std::try_to_lock);
  if (!writing.owns_lock()) {
    if (sum <= seals.reserved) return OkStatus();  // whoever comes next does it
    writing.lock();
  }
  if (Current()->seals.get() != &seals || sum <= seals.enough) return OkStatus();
  const SealLimits& limits = place_.limits;
  const uint64_t sealed = std::max(sum, seals.sealed.load());
  Status another;
  const Status written = UpdateAlone([&](State& state) {
    const uint64_t before = state.contents.data_keys.back().seals;
    if (before != 0 && sealed + limits.reserve > limits.next_key) {
      another = AddFreshDataKey(state, place_);
      if (another.ok()) return OkStatus();
    }
    const uint64_t reserved = std::max(before, std::min(sealed + limits.reserve, limits.most));
    if (reserved == before && !another.ok()) return UsedUp(seals.key, another);
    state.contents.data_keys.back().seals = reserved;
    return OkStatus();
  });
  TellOfSeals(seals, written, another);
  const StatePtr now = Current();
  const DataKeyEntry& active = now->contents.data_keys.back();
  if (active.id != seals.key) return OkStatus();
  if (written.ok()) seals.reserved = active.seals;
  // Not with every box where it failed.
  const uint64_t enough = written.ok() ? active.seals - limits.reserve / 2 : sealed + limits.reserve / 16;
  seals.enough = std::min<uint64_t>(enough, seals.reserved);
  if (written.ok() && sum > seals.reserved) return UsedUp(seals.key, another);
  return Annotate(written, absl::StrCat("counting what is sealed under data key ", seals.key));
}

void KeyRing::Impl::TellOfSeals(const SealCount& seals, const Status& written, const Status& another) {
  const DataKeyId active = Current()->contents.data_keys.back().id;
  if (written.ok() && active != seals.key) {
    spdlog::info("key ring: data key {} has sealed as many boxes as it should: data key {} takes its place",
                 seals.key, active);
  }
  const Status& failed = written.ok() ? another : written;
  if (!failed.ok() && !warned_) {
    spdlog::error(
        "key ring: boxes are sealed out of the reserve of data key {}; when it is used up, writes "
        "to the store fail: {}",
        seals.key, std::string(failed.message()));
  }
  warned_ = !failed.ok();
}

Status KeyRing::Impl::SettleSeals() {
  const std::lock_guard one_at_a_time(writing_);
  const StatePtr state = Current();
  SealCount& seals = *state->seals;
  const uint64_t before = state->contents.data_keys.back().seals;
  seals.reserved = seals.enough = 0;  // who adds from here on waits for this to end
  const uint64_t sealed = std::min<uint64_t>(seals.sealed, before);
  Status written;
  if (sealed != before) {
    written = UpdateAlone([&](State& next) {
      next.contents.data_keys.back().seals = sealed;
      return OkStatus();
    });
  }
  seals.reserved = seals.enough = sealed;  // after a failure too: the file may be the new one
  return written;
}

KeyRing::KeyRing(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
KeyRing::~KeyRing() = default;

StatusOr<std::unique_ptr<KeyRing>> KeyRing::Create(const Place& place, const Identity& identity,
                                                   kms::Kms& kms, absl::Duration budget) {
  KEYHOLD_RETURN_IF_ERROR(CheckIdentity(identity));
  // Only spares the KMS a call: what decides is that the rename refuses to replace.
  struct stat ignored;
  if (place.posix.FStatAt(place.dir, kFileName, &ignored, AT_SYMLINK_NOFOLLOW) == 0) {
    return Error(Cause::kAlreadyExists, "the store has a key ring already; open it instead");
  }
  auto state = std::make_shared<State>();
  state->contents.epoch = 1;
  state->contents.identity = identity;
  state->store_key = std::make_shared<const StoreKey>(crypto::NewKey<StoreKey>(place.random));
  KEYHOLD_RETURN_IF_ERROR(WrapStoreKey(*state, place, kms, budget));
  KEYHOLD_RETURN_IF_ERROR(AddFreshDataKey(*state, place));
  KEYHOLD_RETURN_IF_ERROR(Store(*state, place, Existing::kRefuse));
  state->seals = std::make_shared<SealCount>(state->contents.data_keys.back());
  return std::unique_ptr<KeyRing>(new KeyRing(std::make_unique<Impl>(place, std::move(state))));
}

StatusOr<std::unique_ptr<KeyRing>> KeyRing::Open(const Place& place, const Expected& expected, kms::Kms& kms,
                                                 absl::Duration budget) {
  KEYHOLD_ASSIGN_OR_RETURN(const std::string file, ReadRing(place.posix, place.dir));
  KEYHOLD_ASSIGN_OR_RETURN(Decoded decoded, Decode(file));
  // Before the MAC is checked: what fails here fails for a forged ring too, and no KMS needs to be asked.
  KEYHOLD_RETURN_IF_ERROR(CheckExpected(decoded.contents, expected));
  KEYHOLD_ASSIGN_OR_RETURN(StoreKey store_key, UnwrapStoreKey(decoded.contents, kms, budget));
  KEYHOLD_ASSIGN_OR_RETURN(StatePtr state, Authenticated(std::move(decoded), std::move(store_key)));
  return std::unique_ptr<KeyRing>(new KeyRing(std::make_unique<Impl>(place, std::move(state))));
}

StatusOr<std::unique_ptr<KeyRing>> KeyRing::Recover(const Place& place, const Expected& expected,
                                                    const crypto::RsaPrivateKey& key, kms::Kms& next,
                                                    absl::Duration budget) {
  KEYHOLD_ASSIGN_OR_RETURN(const std::string file, ReadRing(place.posix, place.dir));
  KEYHOLD_ASSIGN_OR_RETURN(Decoded decoded, Decode(file));
  KEYHOLD_RETURN_IF_ERROR(CheckExpected(decoded.contents, expected));
  KEYHOLD_ASSIGN_OR_RETURN(StoreKey store_key, UnsealStoreKey(decoded.contents, key));
  KEYHOLD_ASSIGN_OR_RETURN(StatePtr state, Authenticated(std::move(decoded), std::move(store_key)));
  std::unique_ptr<KeyRing> ring(new KeyRing(std::make_unique<Impl>(place, std::move(state))));
  KEYHOLD_RETURN_IF_ERROR(ring->impl_->Update([&](State& changed) {
    changed.contents.recovered_at = NowOf(place);
    return ChangeStoreKey(changed, place, next, budget);
  }));
  return ring;
}

Status KeyRing::Rewrap(kms::Kms& next, absl::Duration budget) {
  return impl_->Update([&](State& state) { return ChangeStoreKey(state, impl_->place(), next, budget); });
}

Status KeyRing::SetRecoveryKey(const crypto::RsaPublicKey& key) {
  const StatePtr now = impl_->Current();
  if (now->contents.recovery && now->contents.recovery->public_key == key.Pem()) return OkStatus();
  return impl_->Update([&](State& state) -> Status {
    RecoveryEntry entry{key.Pem(), NowOf(impl_->place()), ""};
    KEYHOLD_ASSIGN_OR_RETURN(entry.sealed, SealStoreKey(state, entry));
    state.contents.recovery = std::move(entry);
    return OkStatus();
  });
}

Status KeyRing::RemoveRecoveryKey() {
  if (!impl_->Current()->contents.recovery) return OkStatus();
  return impl_->Update([](State& state) {
    state.contents.recovery.reset();
    return OkStatus();
  });
}

Status KeyRing::Probe(kms::Kms& kms, absl::Duration budget) const {
  const StatePtr state = impl_->Current();
  KEYHOLD_ASSIGN_OR_RETURN(const StoreKey key, UnwrapStoreKey(state->contents, kms, budget));
  if (crypto::ConstantTimeEqual(key.Expose(), state->store_key->Expose())) return OkStatus();
  return Error(Cause::kKmsCorrupt,
               absl::StrCat("the KMS unwraps the store key to another one with the key ", kms.Spec().uri));
}

Status KeyRing::AcceptRestored(uint64_t above) {
  return impl_->Update([&](State& state) {
    state.contents.epoch = std::max(state.contents.epoch, above);
    state.contents.accepted_at = NowOf(impl_->place());
    return AddFreshDataKey(state, impl_->place());
  });
}

StatusOr<DataKeyId> KeyRing::AddDataKey() {
  DataKeyId id = 0;
  KEYHOLD_RETURN_IF_ERROR(impl_->Update([&](State& state) {
    id = state.contents.next_data_key;
    return AddFreshDataKey(state, impl_->place());
  }));
  return id;
}

Status KeyRing::DestroyDataKey(DataKeyId id) {
  const auto destroy = [&](State& state) -> Status {
    const auto entry = std::find_if(state.contents.data_keys.begin(), state.contents.data_keys.end(),
                                    [&](const DataKeyEntry& key) { return key.id == id; });
    if (entry == state.contents.data_keys.end()) {
      return Error(Cause::kNotFound, absl::StrCat("the key ring has no data key ", id));
    }
    if (entry->state == DataKeyState::kActive) {
      return Refused(absl::StrCat("data key ", id, " is the active one; add another first"));
    }
    if (entry->state == DataKeyState::kDestroyed) return OkStatus();
    Destroy(state, *entry, NowOf(impl_->place()));
    return OkStatus();
  };
  return impl_->Update(destroy);
}

StatusOr<std::vector<DataKeyId>> KeyRing::DestroyProven(const Proof& proof) {
  std::vector<DataKeyId> destroyed;
  const StatePtr now = impl_->Current();
  if (proof.target == 0 || proof.target >= now->contents.next_data_key) {
    return Error(Cause::kInvalidArgument, absl::StrCat("the key ring has no data key ", proof.target));
  }
  const auto& entries = now->contents.data_keys;
  // What is active now is never older than a target, so that no later change makes this untrue.
  if (std::none_of(entries.begin(), entries.end(), [&](const auto& e) { return IsProven(e, proof); })) {
    return destroyed;
  }
  KEYHOLD_RETURN_IF_ERROR(impl_->Update([&](State& state) {
    destroyed.clear();
    for (DataKeyEntry& entry : state.contents.data_keys) {
      if (!IsProven(entry, proof)) continue;
      Destroy(state, entry, NowOf(impl_->place()));
      destroyed.push_back(entry.id);
    }
    Keep(state.contents.proofs, proof);
    return OkStatus();
  }));
  return destroyed;
}

Info KeyRing::GetInfo() const {
  const StatePtr state = impl_->Current();
  const Contents& contents = state->contents;
  Info info{contents.identity, contents.epoch, {}, {}, contents.proofs, RecoveryOf(contents), {}, {}};
  if (contents.recovered_at != absl::InfinitePast()) info.recovered_at = contents.recovered_at;
  if (contents.accepted_at != absl::InfinitePast()) info.accepted_at = contents.accepted_at;
  // A copy of the ring from a key's time opens every data key that was there before the next key's first.
  DataKeyId end = contents.next_data_key;
  for (const KeyEntry& key : contents.keys) {
    const bool guards = std::any_of(state->data_keys.begin(), state->data_keys.end(),
                                    [&](const auto& live) { return live.first < end; });
    const auto proof = std::find_if(contents.proofs.begin(), contents.proofs.end(),
                                    [&](const Proof& p) { return p.target >= end; });
    info.keys.push_back({key.spec, !key.wrapped.empty(), guards, key.created_at, key.updated_at,
                         guards || proof == contents.proofs.end() ? std::nullopt : std::optional(*proof),
                         key.version});
    end = key.first_data_key;
  }
  for (const DataKeyEntry& key : contents.data_keys) {
    info.data_keys.push_back({key.id, key.state, key.created_at, key.updated_at, key.seals});
  }
  return info;
}

StatusOr<DataKeyId> KeyRing::KeyToSeal(uint64_t count) const { return impl_->KeyToSeal(count); }
Status KeyRing::SettleSeals() { return impl_->SettleSeals(); }

DataKeyId KeyRing::Active() const {
  const StatePtr state = impl_->Current();
  return state->contents.data_keys.back().id;
}

StatusOr<DataKey> KeyRing::Find(DataKeyId id) const {
  const StatePtr state = impl_->Current();
  const auto found = state->data_keys.find(id);
  if (found != state->data_keys.end()) return found->second->Clone();
  const bool given = id > 0 && id < state->contents.next_data_key;
  return given ? Refused(absl::StrCat("data key ", id, " was destroyed: what it encrypted is gone"))
               : Error(Cause::kNotFound, absl::StrCat("the key ring has no data key ", id));
}

kms::Context ToContext(const Identity& identity) {
  return {{"keyhold:cluster", identity.cluster_id},
          {"keyhold:region", identity.region},
          {"keyhold:store", identity.store_id}};
}

StatusOr<Peeked> PeekKeyRing(Posix& posix, int dir) {
  KEYHOLD_ASSIGN_OR_RETURN(const std::string file, ReadRing(posix, dir));
  KEYHOLD_ASSIGN_OR_RETURN(Decoded decoded, Decode(file));
  return Peeked{std::move(decoded.contents.keys.front().spec), std::move(decoded.contents.identity),
                decoded.contents.epoch};
}

}  // namespace keyhold::keyring
