#include "node/opened.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "node/generation.h"
#include "store/register.h"

namespace keyhold::node {
namespace {

// A probe must leave time for its confirmation and the lock within 5 s at an interval of 2 s.
constexpr absl::Duration kProbeBudget = absl::Milliseconds(1200);
constexpr absl::Duration kOpenBudget = absl::Milliseconds(2500);

constexpr absl::Duration kEngineStop = absl::Seconds(8);
constexpr absl::Duration kUnmount = absl::Seconds(5);

StatusOr<int> OpenStoreDirectory(const std::string& path) {
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return ErrnoError(errno, "making " + path);
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return fd >= 0 ? StatusOr<int>(fd) : ErrnoError(errno, "opening " + path);
}

Status Closed() { return Error(Cause::kUnavailable, "the node is closed"); }

}  // namespace

Status OlderCopy(const Past& seen, const Past& found) {
  return Error(Cause::kFailedPrecondition,
               "the key ring or the store is an older copy: the server has seen key ring epoch " +
                   std::to_string(seen.key_ring_epoch) + " and store generation " +
                   std::to_string(seen.store_generation) + ", and here are " +
                   std::to_string(found.key_ring_epoch) + " and " + std::to_string(found.store_generation) +
                   "; put the latest ones back");
}

Opened::Opened(const NodeOptions& options, const NodeParts& parts, std::function<void()> on_engine_exit)
    : options_(options), parts_(parts), on_engine_exit_(std::move(on_engine_exit)), counter_(parts.clock) {}

Opened::~Opened() {
  if (const Status closed = Close(); !closed.ok()) spdlog::warn("node: {}", std::string(closed.message()));
}

StatusOr<std::unique_ptr<Opened>> Opened::Open(const NodeOptions& options, const NodeParts& parts,
                                               const wire::DesiredNode& desired, const Past& past,
                                               std::function<void()> on_engine_exit) {
  std::unique_ptr<Opened> opened(new Opened(options, parts, std::move(on_engine_exit)));
  KEYHOLD_ASSIGN_OR_RETURN(opened->store_, OpenStoreDirectory(options.dir + "/store"));
  KEYHOLD_RETURN_IF_ERROR(opened->OpenRing(desired, past.key_ring_epoch));
  KEYHOLD_RETURN_IF_ERROR(opened->StartMount(past.store_generation));
  KEYHOLD_RETURN_IF_ERROR(opened->CheckGeneration(past.store_generation));
  KEYHOLD_RETURN_IF_ERROR(opened->StartEngine());
  return opened;
}

Status Opened::OpenRing(const wire::DesiredNode& desired, uint64_t min_epoch) {
  const keyring::Identity identity{desired.cluster_id, desired.region, desired.node_id};
  const keyring::Place place{parts_.posix, store_, parts_.random, parts_.clock};
  const auto peeked = keyring::PeekKeyRing(parts_.posix, store_);
  if (!peeked.ok() && CauseOf(peeked.status()) != Cause::kNotFound) return peeked.status();
  if (!peeked.ok() && min_epoch != 0) {
    return Error(Cause::kFailedPrecondition,
                 "the key ring of node " + desired.node_id +
                     " is gone; without it the data cannot be read: put it back from a backup");
  }
  KEYHOLD_ASSIGN_OR_RETURN(kms_, parts_.kms.Open(peeked.ok() ? peeked->spec : kms::NullKmsSpec()));
  if (!peeked.ok()) {
    KEYHOLD_ASSIGN_OR_RETURN(ring_, keyring::KeyRing::Create(place, identity, *kms_, kOpenBudget));
    return OkStatus();
  }
  KEYHOLD_ASSIGN_OR_RETURN(ring_, keyring::KeyRing::Open(place, {identity, min_epoch}, *kms_, kOpenBudget));
  return OkStatus();
}

Status Opened::StartMount(uint64_t min_generation) {
  store::MountOptions options;
  options.mountpoint = options_.mountpoint;
  options.min_generation = min_generation;
  options.extended_attributes = false;  // PostgreSQL has none, and each write would ask for one
  const store::Context context{parts_.posix, parts_.random, *ring_, counter_};
  KEYHOLD_ASSIGN_OR_RETURN(mount_, store::Mount::Start(context, store_, options));
  return OkStatus();
}

Status Opened::CheckGeneration(uint64_t min_generation) {
  generation_ = mount_->generation();
  // A store from before there were registers has it in a file.
  if (generation_ == 0) {
    KEYHOLD_ASSIGN_OR_RETURN(generation_, ReadGeneration(options_.mountpoint));
    KEYHOLD_RETURN_IF_ERROR(store::CheckGeneration(generation_, min_generation));
  }
  WriteGeneration();
  return OkStatus();
}

// A disk that is full must not keep a node from opening; the copy that it fails to tell apart is a young one.
void Opened::WriteGeneration() {
  const Status written = mount_->NextGeneration(generation_);
  if (!written.ok()) spdlog::warn("node: {}", std::string(written.message()));
  generation_ = std::max(generation_.load(), mount_->generation());
}

void Opened::NextGeneration() {
  const std::lock_guard lock(generation_mutex_);
  if (!closing_) WriteGeneration();
}

Status Opened::StartEngine() {
  engine::PostgresOptions options;
  options.bin_dir = options_.postgres_bin;
  options.psql = options_.postgres_bin + "/psql";
  options.root = options_.mountpoint;
  options.socket_dir = options_.socket_dir;
  options.user = options_.postgres_user;
  KEYHOLD_ASSIGN_OR_RETURN(engine_, engine::Postgres::Start(options, on_engine_exit_));
  return OkStatus();
}

Status Opened::RestartEngine() {
  engine_->Stop(absl::ZeroDuration());  // ends what asks it for something
  const std::lock_guard lock(sql_);
  engine_.reset();
  return StartEngine();
}

Opened::Keys Opened::KeysNow() const {
  const std::lock_guard lock(mutex_);
  return {ring_, kms_};
}

Status Opened::Probe() {
  const Keys keys = KeysNow();
  const Status status = keys.ring->Probe(*keys.kms, kProbeBudget);
  // The ring is under another key already, whose KMS is not yet ours.
  if (!status.ok() && CauseOf(status) == Cause::kFailedPrecondition)
    return Error(Cause::kConflict, "the key is being changed");
  return status;
}

StatusOr<keyring::Info> Opened::GetInfo() const {
  const Keys keys = KeysNow();
  if (keys.ring == nullptr) return Closed();
  return keys.ring->GetInfo();
}

Status Opened::UseKey(const kms::KeySpec& spec, const std::string& region) {
  const std::lock_guard lock(key_);
  if (closing_) return Closed();
  KEYHOLD_ASSIGN_OR_RETURN(std::shared_ptr<kms::Kms> next, parts_.kms.Open(spec));
  const kms::Context context = keyring::ToContext(ring_->GetInfo().identity);
  KEYHOLD_RETURN_IF_ERROR(next->Check(region, context, kChangeBudget).ToStatus());
  if (closing_) return Closed();
  KEYHOLD_RETURN_IF_ERROR(ring_->Rewrap(*next, kChangeBudget));
  const std::lock_guard pointers(mutex_);
  kms_ = std::move(next);
  return OkStatus();
}

Status Opened::UseRecoveryKey(const std::string& public_pem) {
  const std::lock_guard lock(key_);
  if (closing_) return Closed();
  if (public_pem.empty()) return ring_->RemoveRecoveryKey();
  KEYHOLD_ASSIGN_OR_RETURN(const auto key, crypto::RsaPublicKey::FromPem(public_pem));
  return ring_->SetRecoveryKey(key);
}

Status Opened::ApplyUsers(const std::vector<wire::SqlUser>& users) {
  std::vector<engine::SqlUser> wanted;
  for (const wire::SqlUser& user : users) wanted.push_back({user.name, user.scram_verifier});
  const std::lock_guard lock(sql_);
  if (closing_) return Closed();
  if (users_applied_ && wanted == users_) return OkStatus();
  KEYHOLD_RETURN_IF_ERROR(engine_->ApplyUsers(wanted));
  users_ = std::move(wanted);
  users_applied_ = true;
  return OkStatus();
}

std::optional<Reencrypting::Step> Opened::Reencrypt(absl::Duration max_age) {
  const std::lock_guard lock(work_);
  if (closing_) return std::nullopt;
  const std::unique_lock key(key_, std::try_to_lock);
  if (!key.owns_lock()) return std::nullopt;
  return reencrypting_.Next(*ring_, mount_->reencryption(), parts_.clock.Now(), max_age);
}

Status Opened::Close() {
  closing_ = true;
  {
    const std::scoped_lock work(work_);
    if (mount_ != nullptr) mount_->reencryption().Stop();
  }
  if (engine_ != nullptr) engine_->Stop(kEngineStop);
  const std::scoped_lock sql(sql_);
  engine_.reset();
  Status unmounted;
  {
    const std::scoped_lock generation(generation_mutex_);
    if (mount_ != nullptr) {
      unmounted = mount_->Stop(kUnmount);
      generation_ = std::max(generation_.load(), mount_->generation());
    }
  }
  const std::scoped_lock key(key_);
  const Status settled = ring_ == nullptr ? OkStatus() : ring_->SettleSeals();
  if (!settled.ok()) spdlog::warn("node: {}", std::string(settled.message()));
  mount_.reset();  // and with it the store's lock: who takes it next has the ring to itself
  const std::scoped_lock pointers(mutex_);
  ring_.reset();
  kms_.reset();
  if (store_ >= 0) close(std::exchange(store_, -1));
  return unmounted;
}

}  // namespace keyhold::node
