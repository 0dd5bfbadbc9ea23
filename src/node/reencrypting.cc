#include "node/reencrypting.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>

#include "node/words.h"

namespace keyhold::node {
namespace {

using store::ReencryptState;

constexpr absl::Duration kLook = absl::Seconds(1);
constexpr absl::Duration kRetry = absl::Minutes(5);
constexpr absl::Duration kWriteRetry = absl::Seconds(10);

bool IsRunning(const store::ReencryptProgress& progress) {
  return progress.state == ReencryptState::kCounting || progress.state == ReencryptState::kRewriting ||
         progress.state == ReencryptState::kProving;
}

bool HasRetired(const keyring::Info& info) {
  return std::any_of(info.data_keys.begin(), info.data_keys.end(), [](const keyring::DataKeyRecord& key) {
    return key.state == keyring::DataKeyState::kRetired;
  });
}

// Not where the target itself ran out of seals: the rest goes under the next, and what is older is still
// proved to be of no more use, also in a store that is larger than what one data key may seal.
bool RotatedSince(const keyring::Info& info, keyring::DataKeyId target) {
  if (target == info.data_keys.back().id) return false;
  const auto made = std::find_if(info.data_keys.begin(), info.data_keys.end(),
                                 [&](const keyring::DataKeyRecord& key) { return key.id == target; });
  return made == info.data_keys.end() || info.keys.front().created_at >= made->created_at;
}

std::string StateOf(ReencryptState state) {
  switch (state) {
    case ReencryptState::kCounting:
      return "COUNTING";
    case ReencryptState::kRewriting:
      return "REWRITING";
    case ReencryptState::kProving:
      return "PROVING";
    case ReencryptState::kFailed:
      return "FAILED";
    case ReencryptState::kIdle:
    case ReencryptState::kStopped:
    case ReencryptState::kDone:  // under a key that is not the active one any more
      break;
  }
  return "WAITING";
}

wire::Reencryption Told(const store::ReencryptProgress& progress) {
  wire::Reencryption told;
  told.state = StateOf(progress.state);
  told.percent = std::min(std::floor(progress.fraction * 1000) / 10, 99.9);
  told.blocks_total = progress.blocks_total;
  told.blocks_done = progress.blocks_done;
  told.bytes_per_second = std::round(progress.bytes_per_second);
  if (progress.remaining < absl::InfiniteDuration()) {
    told.remaining_s = absl::ToInt64Seconds(absl::Ceil(progress.remaining, absl::Seconds(1)));
  }
  told.started_at = Stamp(progress.started_at);
  return told;
}

}  // namespace

Reencrypting::Step Reencrypting::Next(keyring::KeyRing& ring, store::Reencryption& work, absl::Time now,
                                      absl::Duration max_age) {
  store::ReencryptProgress progress = work.Progress();
  if (IsRunning(progress) && RotatedSince(ring.GetInfo(), progress.target)) {
    work.Stop();  // all of it has to go over again, to the newer key
    progress = work.Progress();
  }
  bool changed = false;
  if (progress.state == ReencryptState::kDone) {
    const auto destroyed = store::DestroyUnusedKeys(ring, progress);
    if (!destroyed.ok()) {
      return Failed(Told(progress), Annotate(destroyed.status(), "old data keys cannot be destroyed"),
                    kWriteRetry);
    }
    changed = !destroyed->empty();
    if (changed) {
      spdlog::info(
          "node: re-encrypted: {} files are under data key {} or later; {} old data keys are destroyed",
          progress.census.files, progress.target, destroyed->size());
    }
  }
  Step step = HasRetired(ring.GetInfo()) ? GoOn(ring, work, now) : Settled(ring, now, max_age);
  step.ring_changed = step.ring_changed || changed;
  return step;
}

// Everything is under the active data key: it may be of age.
Reencrypting::Step Reencrypting::Settled(keyring::KeyRing& ring, absl::Time now, absl::Duration max_age) {
  const keyring::Info info = ring.GetInfo();
  const absl::Time due = info.data_keys.back().created_at + max_age;
  Step step;
  step.now = ReencryptionOf(info);
  step.again = std::max(due - now, kLook);
  if (now < due) return step;
  const auto added = ring.AddDataKey();
  if (!added.ok()) {
    return Failed(step.now.value_or(wire::Reencryption{}),
                  Annotate(added.status(), "no new data key can be made"), kWriteRetry);
  }
  spdlog::info("node: the data key was of age: data key {} takes its place", *added);
  step.now = ReencryptionOf(ring.GetInfo());
  step.again = absl::ZeroDuration();
  step.ring_changed = true;
  return step;
}

Reencrypting::Step Reencrypting::GoOn(keyring::KeyRing& ring, store::Reencryption& work, absl::Time now) {
  store::ReencryptProgress progress = work.Progress();
  if (!IsRunning(progress)) {
    if (progress.state == ReencryptState::kFailed && retry_at_ == absl::InfinitePast()) {
      retry_at_ = now + kRetry;
      spdlog::error("node: re-encryption failed: {}", std::string(progress.status.message()));
    }
    if (now < retry_at_) return Failed(Told(progress), progress.status, retry_at_ - now);
    retry_at_ = absl::InfinitePast();
    if (const Status started = work.Start(options_); !started.ok())
      return Failed(Told(progress), started, kRetry);
    spdlog::info("node: re-encrypting under data key {}", ring.Active());
    progress = work.Progress();
  }
  Step step;
  step.now = Told(progress);
  step.again = kLook;
  return step;
}

Reencrypting::Step Reencrypting::Failed(const wire::Reencryption& now, const Status& why,
                                        absl::Duration again) {
  Step step;
  step.now = now;
  step.now->state = "FAILED";
  step.now->failure = std::string(why.message());
  step.now->remaining_s = -1;
  step.again = again;
  return step;
}

std::optional<wire::Reencryption> ReencryptionOf(const keyring::Info& info) {
  wire::Reencryption told;
  if (HasRetired(info)) {
    told.state = "WAITING";
    return told;
  }
  if (info.proofs.empty()) return std::nullopt;
  told.state = "DONE";
  told.percent = 100;
  told.proof = EvidenceOf(info.proofs.back());
  told.blocks_total = told.blocks_done = told.proof->blocks;
  told.remaining_s = 0;
  told.started_at = told.proof->started_at;
  return told;
}

std::optional<wire::Reencryption> AsLeft(std::optional<wire::Reencryption> now) {
  if (now.has_value() && now->state != "DONE") {
    now->state = "WAITING";
    now->remaining_s = -1;
    now->failure.clear();
  }
  return now;
}

}  // namespace keyhold::node
