#include "store/mount.h"

#include <spdlog/spdlog.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <deque>
#include <fstream>
#include <functional>
#include <mutex>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "store/fuse_ops.h"
#include "store/lock.h"

namespace keyhold::store {
namespace {

constexpr absl::Duration kReadyWithin = absl::Seconds(10);
constexpr size_t kLinesOfAnInterval = 100'000;
constexpr absl::Duration kBusyRetry = absl::Milliseconds(20);

// The kernel reads 128 KiB ahead of a FUSE file at most, whatever was agreed with it, unless it is told here.
// So much that several requests, of a megabyte each, are under way: more than one processor decrypts.
constexpr int kReadAheadKiB = 4096;

void RaiseReadAhead(const std::string& mountpoint) {
  struct stat st;
  if (::stat(mountpoint.c_str(), &st) != 0) return;
  std::ofstream(absl::StrCat("/sys/class/bdi/", major(st.st_dev), ":", minor(st.st_dev), "/read_ahead_kb"))
      << kReadAheadKiB;  // where it cannot be had, reading is slower and nothing else
}

// One thread that works off what it is given, in order.
class Aside {
 public:
  Aside() : thread_([this] { Run(); }) {}
  ~Aside() {
    Add(nullptr);
    thread_.join();
  }
  void Add(std::function<void()> work) {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(work));
    added_.notify_one();
  }

 private:
  void Run() {
    std::unique_lock lock(mutex_);
    while (true) {
      added_.wait(lock, [&] { return !queue_.empty(); });
      const std::function<void()> work = std::move(queue_.front());
      queue_.pop_front();
      if (work == nullptr) return;
      lock.unlock();
      work();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable added_;
  std::deque<std::function<void()>> queue_;  // guarded by mutex_; empty work ends the thread
  std::thread thread_;
};

}  // namespace

class Mount::Impl {
 public:
  Impl(const Context& context, const MountOptions& options) : context_(context), options_(options) {}
  ~Impl() { Finish(); }

  Status Start(int store);
  Status Stop(absl::Duration deadline);
  void Wait();
  uint64_t corrupt_count() const { return tree_ == nullptr ? 0 : tree_->corrupt_count(); }
  uint64_t generation() const { return tree_ == nullptr ? last_generation_ : tree_->generation(); }
  Status NextGeneration(uint64_t above) { return tree_->NextGeneration(above); }
  Reencryption& reencryption() { return *reencryption_; }

 private:
  Status MountSession();
  Status AwaitReady();
  void Serve();
  void SealNowAndThen();
  void CloseTree();
  Status Detach(absl::Duration deadline);
  void Finish();

  const Context context_;
  const MountOptions options_;
  std::unique_ptr<Descriptor> lock_;
  std::unique_ptr<Tree> tree_;
  std::unique_ptr<Reencryption> reencryption_;
  std::unique_ptr<FuseState> state_;
  std::unique_ptr<Aside> aside_;
  fuse_session* session_ = nullptr;
  uint64_t last_generation_ = 0;  // once the tree is closed
  std::thread server_;
  std::thread sealer_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool ready_ = false;  // guarded by mutex_, as the next
  bool ended_ = false;
};

Status Mount::Impl::MountSession() {
  const std::string source = absl::StrReplaceAll(options_.source, {{"\\", "\\\\"}, {",", "\\,"}});
  std::vector<std::string> words = {
      "keyhold", "-o", "allow_other,default_permissions,subtype=keyhold,max_read=1048576,fsname=" + source};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  fuse_args args = FUSE_ARGS_INIT(static_cast<int>(argv.size()), argv.data());
  const fuse_lowlevel_ops operations = FuseOperations(options_);
  session_ = fuse_session_new(&args, &operations, sizeof operations, state_.get());
  fuse_opt_free_args(&args);
  if (session_ == nullptr) return Error(Cause::kInternal, "libfuse refused the session");
  state_->session = session_;
  if (fuse_session_mount(session_, options_.mountpoint.c_str()) != 0) {
    return ErrnoError(errno != 0 ? errno : EIO, "mounting at " + options_.mountpoint);
  }
  return OkStatus();
}

Status Mount::Impl::AwaitReady() {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, absl::ToChronoSeconds(kReadyWithin), [&] { return ready_ || ended_; });
  return ready_ ? OkStatus()
                : Error(Cause::kIo, "the kernel did not take the mount at " + options_.mountpoint);
}

Status Mount::Impl::Start(int store) {
  KEYHOLD_ASSIGN_OR_RETURN(lock_, LockStore(context_.posix, store));
  KEYHOLD_ASSIGN_OR_RETURN(tree_,
                           Tree::Open(context_, store, options_.open_descriptors, options_.min_generation));
  reencryption_ = std::make_unique<Reencryption>(*tree_, SystemClock());
  const auto ready = [this] {
    const std::lock_guard lock(mutex_);
    ready_ = true;
    changed_.notify_all();
  };
  aside_ = std::make_unique<Aside>();
  state_ = std::make_unique<FuseState>(FuseState{
      *tree_, options_, ready, [this](std::function<void()> work) { aside_->Add(std::move(work)); }});
  KEYHOLD_RETURN_IF_ERROR(MountSession());
  server_ = std::thread([this] { Serve(); });
  sealer_ = std::thread([this] { SealNowAndThen(); });
  KEYHOLD_RETURN_IF_ERROR(AwaitReady());
  RaiseReadAhead(options_.mountpoint);
  return OkStatus();
}

void Mount::Impl::Serve() {
  fuse_loop_config* config = fuse_loop_cfg_create();
  fuse_loop_cfg_set_clone_fd(config, 1);
  fuse_loop_cfg_set_idle_threads(config, 8);
  fuse_loop_cfg_set_max_threads(config, 16);
  fuse_session_loop_mt(session_, config);
  fuse_loop_cfg_destroy(config);
  const std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

void Mount::Impl::SealNowAndThen() {
  std::unique_lock lock(mutex_);
  absl::Duration since;  // the last record
  while (
      !changed_.wait_for(lock, absl::ToChronoMilliseconds(options_.seal_interval), [&] { return ended_; })) {
    lock.unlock();
    tree_->SealSome(options_.sync_after);
    since += options_.seal_interval;
    const auto share = static_cast<int64_t>(1 + tree_->register_size() / kLinesOfAnInterval);
    if (since >= options_.register_interval * share) {
      since = absl::ZeroDuration();
      const Status recorded = tree_->Record();
      if (!recorded.ok()) spdlog::warn("store: {}", std::string(recorded.message()));
    }
    lock.lock();
  }
}

void Mount::Impl::CloseTree() {
  if (tree_ == nullptr) return;
  const Status closed = tree_->Close();
  if (!closed.ok()) spdlog::warn("store: {}", std::string(closed.message()));
  last_generation_ = tree_->generation();
  tree_.reset();
}

void Mount::Impl::Wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return ended_; });
}

// A busy mount is asked again until the deadline; then its connection is cut, so that who holds it gets
// errors.
Status Mount::Impl::Detach(absl::Duration deadline) {
  const char* where = options_.mountpoint.c_str();
  const absl::Time until = absl::Now() + deadline;
  while (::umount2(where, UMOUNT_NOFOLLOW) != 0) {
    if (errno == EINVAL || errno == ENOENT) return OkStatus();  // unmounted by somebody else
    if (errno != EBUSY) return ErrnoError(errno, "unmounting " + options_.mountpoint);
    if (absl::Now() >= until) {
      ::umount2(where, MNT_FORCE);
      ::umount2(where, MNT_DETACH);
      return Error(Cause::kFailedPrecondition,
                   options_.mountpoint + " was busy; what was open there got errors");
    }
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, absl::ToChronoMilliseconds(kBusyRetry), [&] { return ended_; });
  }
  return OkStatus();
}

Status Mount::Impl::Stop(absl::Duration deadline) {
  const Status detached = session_ == nullptr ? OkStatus() : Detach(deadline);
  Finish();
  return detached;
}

void Mount::Impl::Finish() {
  if (reencryption_ != nullptr) reencryption_->Stop();
  if (session_ != nullptr) {
    if (server_.joinable()) {
      bool ended = false;
      {
        const std::lock_guard lock(mutex_);
        ended = ended_;
      }
      if (!ended) {
        ::umount2(options_.mountpoint.c_str(), MNT_FORCE);
        ::umount2(options_.mountpoint.c_str(), MNT_DETACH);
      }
      server_.join();
    }
    if (sealer_.joinable()) sealer_.join();
    aside_.reset();
    fuse_session_destroy(session_);
    session_ = nullptr;
  }
  CloseTree();
}

Mount::Mount(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Mount::~Mount() = default;

StatusOr<std::unique_ptr<Mount>> Mount::Start(const Context& context, int store,
                                              const MountOptions& options) {
  auto impl = std::make_unique<Impl>(context, options);
  KEYHOLD_RETURN_IF_ERROR(impl->Start(store));
  return std::unique_ptr<Mount>(new Mount(std::move(impl)));
}

Status Mount::Stop(absl::Duration deadline) { return impl_->Stop(deadline); }
void Mount::Wait() { impl_->Wait(); }
uint64_t Mount::corrupt_count() const { return impl_->corrupt_count(); }
uint64_t Mount::generation() const { return impl_->generation(); }
Status Mount::NextGeneration(uint64_t above) { return impl_->NextGeneration(above); }
Reencryption& Mount::reencryption() { return impl_->reencryption(); }

}  // namespace keyhold::store
