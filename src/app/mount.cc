#include "app/mount.h"

#include <fcntl.h>
#include <mntent.h>
#include <pthread.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/mount.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "app/background.h"
#include "app/store_session.h"
#include "store/lock.h"
#include "store/mount.h"

namespace keyhold::app {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMountType = "fuse.keyhold";  // by the subtype that store/mount.cc gives
constexpr absl::Duration kUnmountPatience = absl::Seconds(10);
constexpr absl::Duration kBusyRetry = absl::Milliseconds(20);

// What is still under data keys that were retired, as by `keyhold store reencrypt --new-data-key` that was
// cut off, goes over while the store is in use.
Status GoOnReencrypting(const keyring::KeyRing& ring, store::Mount& mount) {
  const auto info = ring.GetInfo();
  const bool retired = std::any_of(info.data_keys.begin(), info.data_keys.end(), [](const auto& record) {
    return record.state == keyring::DataKeyState::kRetired;
  });
  return retired ? mount.reencryption().Start({}) : OkStatus();
}

// Returns when re-encryption has ended, or was stopped.
void RetireKeys(keyring::KeyRing& ring, store::Mount& mount) {
  const store::ReencryptProgress progress = mount.reencryption().Wait();
  if (progress.state == store::ReencryptState::kFailed) {
    spdlog::error("store: re-encryption failed: {}", std::string(progress.status.message()));
  }
  if (progress.state != store::ReencryptState::kDone) return;
  const auto destroyed = store::DestroyUnusedKeys(ring, progress);
  if (!destroyed.ok()) {
    spdlog::error("store: destroying old data keys: {}", std::string(destroyed.status().message()));
    return;
  }
  spdlog::info("store: re-encrypted; {} old data keys are destroyed", destroyed->size());
}

Status Serve(const StoreMountOptions& options, const Ready& ready) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  KEYHOLD_ASSIGN_OR_RETURN(const auto session, StoreSession::Open(options.dir, options.key_spec,
                                                                  options.environment, Missing::kMake));
  store::MountOptions mount_options;
  mount_options.mountpoint = options.mountpoint;
  mount_options.source = fs::absolute(options.dir);
  // Programs may map what they have open O_DSYNC.
  mount_options.direct_dsync = false;
  KEYHOLD_ASSIGN_OR_RETURN(const auto mount,
                           store::Mount::Start(session->context(), session->dir(), mount_options));
  KEYHOLD_RETURN_IF_ERROR(GoOnReencrypting(session->ring(), *mount));
  std::printf("ready: %s is mounted at %s; end it with: keyhold umount %s\n", options.dir.c_str(),
              options.mountpoint.c_str(), options.mountpoint.c_str());
  std::fflush(stdout);
  KEYHOLD_RETURN_IF_ERROR(ready("/dev/null"));
  std::thread retirer([&] { RetireKeys(session->ring(), *mount); });
  Status stopped;
  std::thread watcher([&] {
    int signal = 0;
    sigwait(&signals, &signal);
    stopped = mount->Stop(kUnmountPatience);
  });
  mount->Wait();
  mount->reencryption().Stop();
  retirer.join();
  pthread_kill(watcher.native_handle(), SIGTERM);
  watcher.join();
  session->Settle();  // the mount still has the store's lock
  return stopped;
}

// The directory of the store that is mounted at `mountpoint`; empty where there is none.
std::string StoreAt(const std::string& mountpoint) {
  std::error_code error;
  const std::string where = fs::canonical(mountpoint, error);
  const std::unique_ptr<FILE, int (*)(FILE*)> table(setmntent("/proc/self/mounts", "r"), endmntent);
  std::string store;
  while (const mntent* entry = table == nullptr ? nullptr : getmntent(table.get())) {
    if (entry->mnt_dir == where) store = entry->mnt_type == kMountType ? entry->mnt_fsname : "";
  }
  return store;
}

void AwaitLetGo(const std::string& dir) {
  const int fd = open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  const store::Descriptor closes(SystemPosix(), fd);
  const absl::Time until = absl::Now() + kUnmountPatience;
  while (!store::LockStore(SystemPosix(), fd).ok() && absl::Now() < until) absl::SleepFor(kBusyRetry);
}

}  // namespace

Status RunStoreMount(const StoreMountOptions& options) {
  return RunUntilReady(options.background, [&](const Ready& ready) { return Serve(options, ready); });
}

Status RunStoreUnmount(const std::string& mountpoint) {
  const std::string store = StoreAt(mountpoint);
  if (umount2(mountpoint.c_str(), UMOUNT_NOFOLLOW) == 0) {
    AwaitLetGo(store);
    return OkStatus();
  }
  if (errno == EBUSY) {
    return Error(Cause::kFailedPrecondition,
                 absl::StrCat(mountpoint, " is busy: a program has a file or its directory open there"));
  }
  if (errno == EINVAL) return Error(Cause::kNotFound, absl::StrCat("nothing is mounted at ", mountpoint));
  return ErrnoError(errno, mountpoint);
}

}  // namespace keyhold::app
