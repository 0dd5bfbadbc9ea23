#include "node/following.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "node/words.h"

namespace keyhold::node {
namespace {

constexpr absl::Duration kFirstUsersRetry = absl::Milliseconds(500);
constexpr absl::Duration kLongestUsersRetry = absl::Seconds(30);
constexpr absl::Duration kRecoveryRetry = absl::Seconds(30);
constexpr absl::Duration kKeyRetry = absl::Seconds(2);
constexpr absl::Duration kKeyRetriesFor = absl::Minutes(1);
constexpr absl::Duration kGenerationEvery = absl::Minutes(10);
constexpr absl::Duration kReencryptionBusy = absl::Seconds(1);

}  // namespace

void Following::StoreIsOpen() {
  DesiredIsNew();
  generation_.Wake();
}

void Following::DesiredIsNew() {
  users_.Wake();
  key_.Wake();
  recovery_.Wake();
  reencryption_.Wake();
}

void Following::EngineIsNew() { users_.Wake(); }

absl::Duration Following::FollowUsers() {
  const wire::DesiredNode desired = parts_.desired();
  const std::shared_ptr<Opened> opened = parts_.opened();
  if (opened == nullptr) return absl::InfiniteDuration();
  const Status status = opened->ApplyUsers(desired.sql_users);
  if (opened->closing()) return absl::InfiniteDuration();  // asked again when it is open again
  if (!status.ok() && IsTransient(CauseOf(status))) return UsersFailed(status);
  users_retry_ = absl::ZeroDuration();
  if (status.ok()) {
    parts_.board.Unwarn(WarningOf::kUsers);
  } else {
    UsersFailed(status);  // trying again mends nothing: the users are as they were
  }
  parts_.door.UsersKnown();
  parts_.board.Change([&](wire::NodeStatus& now) {
    now.observed_generation = std::max(now.observed_generation, desired.generation);
  });
  return absl::InfiniteDuration();
}

absl::Duration Following::UsersFailed(const Status& status) {
  const Status told = Annotate(status, "the SQL users are not up to date");
  spdlog::warn("node: {}", std::string(told.message()));
  const auto before = parts_.board.Now().warning;
  wire::Trouble trouble = TroubleOf(told, parts_.clock.Now());
  if (before && before->message == trouble.message) trouble.since = before->since;
  parts_.board.Warn(WarningOf::kUsers, {trouble, ""});
  users_retry_ = std::clamp(2 * users_retry_, kFirstUsersRetry, kLongestUsersRetry);
  return users_retry_;
}

// Enable and rotate: the old key stays in force unless the new one is proved and written down.
absl::Duration Following::FollowKey() {
  const wire::DesiredNode desired = parts_.desired();
  const std::shared_ptr<Opened> opened = parts_.opened();
  const bool wanted =
      desired.cmek.has_value() && desired.cmek->generation > parts_.memory.Now().cmek_generation;
  if (opened == nullptr || !wanted || desired.revoked) return absl::InfiniteDuration();
  const auto info = opened->GetInfo();
  if (!info.ok()) return absl::InfiniteDuration();
  const bool enables = info->keys.front().spec.type == kms::KeyType::kNullKms;
  parts_.board.Change(
      [&](wire::NodeStatus& status) { status.cmek_status = enables ? "ENABLING" : "ROTATING"; });
  const wire::KeySpec& key = desired.cmek->key_spec;
  const auto spec = kms::MakeKeySpec(key.type, key.uri, key.auth_principal);
  const Status status = spec.ok() ? opened->UseKey(*spec, desired.region) : spec.status();
  const auto after = opened->GetInfo();
  if (!after.ok() || (!status.ok() && opened->closing())) return absl::InfiniteDuration();
  if (TriesAgain(status)) return kKeyRetry;
  KeyChanged(*after, *desired.cmek, enables, status);
  reencryption_.Wake();
  return absl::InfiniteDuration();
}

// The server has had the key checked a moment ago: what does not answer now may do so in the next one.
bool Following::TriesAgain(const Status& status) {
  const absl::Time now = parts_.clock.Now();
  if (status.ok() || !IsTransient(CauseOf(status))) {
    key_retried_since_ = absl::InfiniteFuture();
    return false;
  }
  key_retried_since_ = std::min(key_retried_since_, now);
  if (now - key_retried_since_ < kKeyRetriesFor) return true;
  key_retried_since_ = absl::InfiniteFuture();
  return false;
}

void Following::KeyChanged(const keyring::Info& info, const wire::DesiredCmek& wanted, bool enables,
                           const Status& status) {
  parts_.memory.KeepRing(info, [&](Memory& memory) {
    memory.cmek_generation = wanted.generation;
    memory.cmek_failure = status.ok() ? "" : std::string(status.message());
    memory.cmek_status = status.ok() ? "ENABLED" : enables ? "ENABLE_FAILED" : "ROTATE_FAILED";
    if (status.ok()) return;
    spdlog::error("node: {}: {}", memory.cmek_status, memory.cmek_failure);
    const std::string now = Stamp(parts_.clock.Now());
    memory.keys.insert(memory.keys.begin(),
                       {wanted.key_spec, memory.cmek_status, memory.cmek_failure, now, now, false, {}});
  });
}

absl::Duration Following::FollowRecovery() {
  const wire::DesiredNode desired = parts_.desired();
  const std::shared_ptr<Opened> opened = parts_.opened();
  if (opened == nullptr) return absl::InfiniteDuration();
  const Status status = opened->UseRecoveryKey(desired.recovery_public_key);
  const auto info = opened->GetInfo();
  if (opened->closing() || !info.ok()) return absl::InfiniteDuration();
  if (RecoveryOf(*info) != parts_.memory.Now().recovery) parts_.memory.KeepRing(*info, [](Memory&) {});
  std::optional<wire::Trouble> trouble;
  if (!status.ok()) {
    trouble = TroubleOf(Annotate(status, "the recovery key is not as it should be"), parts_.clock.Now());
    spdlog::warn("node: {}", trouble->message);
  }
  parts_.board.Tell(WarningOf::kRecoveryKey, trouble);
  return status.ok() ? absl::InfiniteDuration() : kRecoveryRetry;
}

absl::Duration Following::MakeGeneration() {
  const std::shared_ptr<Opened> opened = parts_.opened();
  if (opened == nullptr) return absl::InfiniteDuration();
  opened->NextGeneration();
  const auto info = opened->GetInfo();
  parts_.memory.Keep([&](Memory& memory) {
    memory.store_generation = std::max(memory.store_generation, opened->generation());
    if (info.ok()) memory.key_ring_epoch = std::max(memory.key_ring_epoch, info->epoch);
  });
  reencryption_.Wake();  // the data key may have sealed what it may, and be replaced
  return kGenerationEvery;
}

absl::Duration Following::FollowReencryption() {
  const std::shared_ptr<Opened> opened = parts_.opened();
  if (opened == nullptr) return absl::InfiniteDuration();
  const auto step = opened->Reencrypt(absl::Seconds(parts_.desired().data_key_max_age_s));
  if (!step.has_value()) return opened->closing() ? absl::InfiniteDuration() : kReencryptionBusy;
  const auto info = opened->GetInfo();
  if (step->ring_changed && info.ok()) parts_.memory.KeepRing(*info, [](Memory&) {});
  if (!opened->closing()) TellReencryption(step->now);
  if (opened->closing()) TellReencryption(AsLeft(step->now));  // Close() may have been told before
  return step->again;
}

void Following::TellReencryption(const std::optional<wire::Reencryption>& now) {
  if (parts_.board.Now().reencryption == now) return;
  if (now.has_value() && !now->failure.empty()) {
    const Status told = Error(Cause::kInternal, "re-encryption does not go on: " + now->failure);
    parts_.board.Warn(WarningOf::kReencryption, {TroubleOf(told, parts_.clock.Now()), ""});
  } else {
    parts_.board.Unwarn(WarningOf::kReencryption);
  }
  parts_.board.Change([&](wire::NodeStatus& status) { status.reencryption = now; });
}

}  // namespace keyhold::node
