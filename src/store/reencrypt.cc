#include "store/reencrypt.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "absl/strings/str_cat.h"
#include "store/survey.h"

namespace keyhold::store {
namespace {

// Proofs that found something are made again; what was rewritten once does not come back.
constexpr int kProofs = 4;

using Steady = std::chrono::steady_clock;

// Users' requests a second from which a store is in use, and how long they are counted.
constexpr double kBusyRate = 40;
constexpr Steady::duration kBusyWindow = std::chrono::milliseconds(100);
constexpr Steady::duration kLeastPause = std::chrono::milliseconds(1);  // less is saved up
constexpr Steady::duration kLongestPause = std::chrono::seconds(2);

bool OnlyFrom(const Census& census, DataKeyId target) {
  return std::all_of(census.uses.begin(), census.uses.end(),
                     [&](const auto& use) { return use.first >= target; });
}

StatusOr<Census> CensusOf(Tree& tree, Pass pass) {
  Surveyor surveyor(tree, pass, [](uint64_t, uint64_t) { return OkStatus(); });
  KEYHOLD_ASSIGN_OR_RETURN(SurveyResult result, surveyor.Run());
  return std::move(result.census);
}

}  // namespace

const char* StateName(ReencryptState state) {
  switch (state) {
    case ReencryptState::kIdle:
      return "idle";
    case ReencryptState::kCounting:
      return "counting";
    case ReencryptState::kRewriting:
      return "rewriting";
    case ReencryptState::kProving:
      return "proving";
    case ReencryptState::kDone:
      return "done";
    case ReencryptState::kStopped:
      return "stopped";
    case ReencryptState::kFailed:
      return "failed";
  }
  return "unknown";
}

class Reencryption::Impl {
 public:
  Impl(Tree& tree, Clock& clock) : tree_(tree), clock_(clock) {}
  ~Impl() { Stop(); }

  Status Start(const ReencryptOptions& options);
  void Stop();
  ReencryptProgress Progress() const;
  ReencryptProgress Wait();

 private:
  void Run();
  Status Work();
  StatusOr<SurveyResult> OnePass(Pass pass, Surveyor::Files* passed_over);
  Status Pace(Pass pass, uint64_t bytes, uint64_t sectors);
  bool IsBusy(Steady::time_point now);
  void Yield(std::unique_lock<std::mutex>& lock);
  void Enter(ReencryptState state);
  void End(ReencryptState state, const Status& status);

  Tree& tree_;
  Clock& clock_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::thread thread_;  // guarded by mutex_, as all that follows
  bool running_ = false;
  bool stopping_ = false;
  ReencryptOptions options_;
  ReencryptProgress progress_;
  uint64_t bytes_ = 0;
  uint64_t proved_ = 0;
  Steady::time_point started_;
  Steady::time_point next_;   // when the disk may be used again
  Steady::time_point began_;  // the step under way
  Steady::duration owed_{};   // to those who use the store
  Steady::time_point window_began_;
  uint64_t window_requests_ = 0;
  bool busy_ = false;
};

Status Reencryption::Impl::Start(const ReencryptOptions& options) {
  const std::lock_guard lock(mutex_);
  if (running_) return Error(Cause::kConflict, "re-encryption is under way");
  if (thread_.joinable()) thread_.join();
  options_ = options;
  progress_ = {};
  progress_.target = tree_.active_key();
  progress_.remaining = absl::InfiniteDuration();
  progress_.started_at = clock_.Now();
  progress_.ended_at = absl::InfiniteFuture();
  progress_.state = ReencryptState::kCounting;
  bytes_ = proved_ = 0;
  started_ = next_ = began_ = window_began_ = Steady::now();
  window_requests_ = tree_.requests();
  owed_ = {};
  busy_ = false;
  running_ = true;
  stopping_ = false;
  thread_ = std::thread([this] { Run(); });
  return OkStatus();
}

void Reencryption::Impl::Stop() {
  std::thread ended;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
    ended = std::move(thread_);
  }
  if (ended.joinable()) ended.join();
}

ReencryptProgress Reencryption::Impl::Progress() const {
  const std::lock_guard lock(mutex_);
  ReencryptProgress progress = progress_;
  const double seconds = std::chrono::duration<double>(Steady::now() - started_).count();
  if (running_ && seconds > 0) progress.bytes_per_second = static_cast<double>(bytes_) / seconds;
  const double total = static_cast<double>(progress.blocks_total);
  if (progress.state == ReencryptState::kDone) {
    progress.fraction = 1;
    progress.remaining = absl::ZeroDuration();
  } else if (total > 0) {
    // Rewriting reads and writes, the proof reads.
    const double done = 2 * static_cast<double>(progress.blocks_done) + static_cast<double>(proved_);
    progress.fraction = std::min(done / (3 * total), 0.999);
    if (running_ && done > 0) {
      progress.remaining = absl::Seconds(seconds * (1 - progress.fraction) / progress.fraction);
    }
  }
  return progress;
}

ReencryptProgress Reencryption::Impl::Wait() {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !running_; });
  }
  return Progress();
}

void Reencryption::Impl::Enter(ReencryptState state) {
  const std::lock_guard lock(mutex_);
  progress_.state = state;
}

void Reencryption::Impl::End(ReencryptState state, const Status& status) {
  const std::lock_guard lock(mutex_);
  const double seconds = std::chrono::duration<double>(Steady::now() - started_).count();
  if (seconds > 0) progress_.bytes_per_second = static_cast<double>(bytes_) / seconds;
  progress_.state = state;
  progress_.status = status;
  progress_.ended_at = clock_.Now();
  running_ = false;
  changed_.notify_all();
}

void Reencryption::Impl::Run() {
  const Status status = Work();
  bool stopping = false;
  {
    const std::lock_guard lock(mutex_);
    stopping = stopping_;
  }
  if (status.ok()) return End(ReencryptState::kDone, status);
  End(stopping ? ReencryptState::kStopped : ReencryptState::kFailed, stopping ? OkStatus() : status);
}

bool Reencryption::Impl::IsBusy(Steady::time_point now) {
  const Steady::duration window = now - window_began_;
  if (window >= kBusyWindow) {
    const uint64_t requests = tree_.requests();
    const double seconds = std::chrono::duration<double>(window).count();
    busy_ = static_cast<double>(requests - window_requests_) >= kBusyRate * seconds;
    window_began_ = now;
    window_requests_ = requests;
  }
  return busy_;
}

// Leaves the store to its users for as long as is owed to them, or until they ask for nothing any more.
void Reencryption::Impl::Yield(std::unique_lock<std::mutex>& lock) {
  const Steady::time_point from = Steady::now();
  const Steady::time_point until = from + owed_;
  owed_ = {};
  for (auto now = from; now < until && IsBusy(now) && !stopping_; now = Steady::now()) {
    changed_.wait_until(lock, std::min(until, now + kBusyWindow), [&] { return stopping_; });
  }
  progress_.yielded += absl::FromChrono(Steady::now() - from);
}

// Counts the bytes against the bandwidth and the work against its share, and waits where there was too much.
Status Reencryption::Impl::Pace(Pass pass, uint64_t bytes, uint64_t sectors) {
  std::unique_lock lock(mutex_);
  bytes_ += bytes;
  if (pass == Pass::kRewrite) progress_.blocks_done += sectors;
  if (pass == Pass::kProve) proved_ += sectors;
  progress_.blocks_total = std::max({progress_.blocks_total, progress_.blocks_done, proved_});
  if (options_.bytes_per_second != 0 && bytes != 0) {
    const std::chrono::duration<double> cost(static_cast<double>(bytes) /
                                             static_cast<double>(options_.bytes_per_second));
    next_ = std::max(next_, began_) + std::chrono::duration_cast<Steady::duration>(cost);
  }
  const Steady::time_point now = Steady::now();
  if (IsBusy(now)) {
    owed_ += std::chrono::duration_cast<Steady::duration>((now - began_) * (1 / options_.busy_share - 1));
    owed_ = std::min(owed_, kLongestPause);
  }
  // What was moved meanwhile is looked at without a pause: users must not move things faster than that.
  if (bytes != 0) {
    if (owed_ >= kLeastPause) Yield(lock);
    changed_.wait_until(lock, next_, [&] { return stopping_; });
  }
  began_ = Steady::now();
  return stopping_ ? Error(Cause::kUnavailable, "re-encryption was stopped") : OkStatus();
}

StatusOr<SurveyResult> Reencryption::Impl::OnePass(Pass pass, Surveyor::Files* passed_over) {
  Surveyor surveyor(
      tree_, pass, [this, pass](uint64_t bytes, uint64_t sectors) { return Pace(pass, bytes, sectors); },
      passed_over);
  KEYHOLD_ASSIGN_OR_RETURN(SurveyResult result, surveyor.Run());
  const std::lock_guard lock(mutex_);
  if (pass == Pass::kStock) progress_.blocks_total = result.sectors;
  progress_.blocks_rewritten += result.rewritten;
  return result;
}

Status Reencryption::Impl::Work() {
  KEYHOLD_RETURN_IF_ERROR(OnePass(Pass::kStock, nullptr).status());
  Enter(ReencryptState::kRewriting);
  Surveyor::Files passed_over;
  KEYHOLD_RETURN_IF_ERROR(OnePass(Pass::kRewrite, &passed_over).status());
  for (int proof = 0; proof < kProofs; ++proof) {
    {
      const std::lock_guard lock(mutex_);
      progress_.state = ReencryptState::kProving;
      progress_.blocks_total = progress_.blocks_done;
      proved_ = 0;
    }
    KEYHOLD_ASSIGN_OR_RETURN(SurveyResult result, OnePass(Pass::kProve, &passed_over));
    const std::lock_guard lock(mutex_);
    progress_.census = std::move(result.census);
    if (progress_.census.damaged != 0) {
      return Error(Cause::kCorrupt,
                   absl::StrCat(progress_.census.damaged, " places do not authenticate, the first is ",
                                progress_.census.damaged_places.front(),
                                "; the old data keys are kept: put those files back from a backup, or delete "
                                "them, and start again"));
    }
    progress_.blocks_total = progress_.blocks_done = proved_;
    if (OnlyFrom(progress_.census, progress_.target)) return OkStatus();
  }
  return Error(Cause::kInternal, "blocks under an old data key were found again and again");
}

Reencryption::Reencryption(Tree& tree, Clock& clock) : impl_(std::make_unique<Impl>(tree, clock)) {}
Reencryption::~Reencryption() = default;

Status Reencryption::Start(const ReencryptOptions& options) { return impl_->Start(options); }
void Reencryption::Stop() { impl_->Stop(); }
ReencryptProgress Reencryption::Progress() const { return impl_->Progress(); }
ReencryptProgress Reencryption::Wait() { return impl_->Wait(); }

StatusOr<Census> TakeCensus(Tree& tree, bool authenticate) {
  return CensusOf(tree, authenticate ? Pass::kVerify : Pass::kCount);
}

StatusOr<Census> ForgetMissing(Tree& tree) { return CensusOf(tree, Pass::kForget); }

StatusOr<std::vector<DataKeyId>> DestroyUnusedKeys(keyring::KeyRing& ring, const ReencryptProgress& proven) {
  if (proven.state != ReencryptState::kDone) {
    return Error(Cause::kFailedPrecondition, "nothing proves that the old data keys are of no more use");
  }
  if (!OnlyFrom(proven.census, proven.target)) {
    return Error(Cause::kInternal, "the proof names a data key that it says is of no more use");
  }
  keyring::Proof proof;
  proof.target = proven.target;
  proof.started_at = proven.started_at;
  proof.ended_at = proven.ended_at;
  for (const auto& [key, use] : proven.census.uses) {
    proof.blocks += use.blocks;
    proof.maps += use.maps;
    proof.others += use.others;
  }
  proof.files = proven.census.files;
  proof.directories = proven.census.directories;
  proof.links = proven.census.links;
  return ring.DestroyProven(proof);
}

}  // namespace keyhold::store
