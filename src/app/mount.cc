#include "app/mount.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "app/background.h"
#include "app/host_dir.h"
#include "crypto/random.h"
#include "keyring/keyring.h"
#include "kms/key_spec.h"
#include "kms/provider.h"
#include "store/mount.h"

namespace keyhold::app {
namespace {

constexpr char kMountCluster[] = "keyhold-mount";  // what a store alone is bound to, in place of a cluster
constexpr absl::Duration kKmsBudget = absl::Seconds(20);
constexpr absl::Duration kUnmountPatience = absl::Seconds(10);

StatusOr<kms::KeySpec> SpecFrom(const std::string& text) {
  if (!absl::StartsWith(text, "@")) return kms::ParseKeySpec(text);
  KEYHOLD_ASSIGN_OR_RETURN(const std::string content, ReadFile(text.substr(1)));
  return kms::ParseKeySpec(content);
}

StatusOr<int> OpenDir(const std::string& path) {
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return ErrnoError(errno, path);
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return fd >= 0 ? StatusOr<int>(fd) : ErrnoError(errno, path);
}

StatusOr<std::unique_ptr<keyring::KeyRing>> Create(const keyring::Place& place, const std::string& dir,
                                                   const kms::KeySpec& spec, kms::Kms& kms) {
  if (!std::filesystem::is_empty(dir)) {
    return Error(Cause::kFailedPrecondition,
                 absl::StrCat(dir, " is neither a store nor empty; name another directory"));
  }
  const keyring::Identity identity{kMountCluster, kms::RegionOf(spec), crypto::NewUuid(place.random)};
  KEYHOLD_RETURN_IF_ERROR(kms.Check(identity.region, keyring::ToContext(identity), kKmsBudget).ToStatus());
  return keyring::KeyRing::Create(place, identity, kms, kKmsBudget);
}

// The key ring of the store in `dir`, which is made where there is none.
StatusOr<std::unique_ptr<keyring::KeyRing>> OpenRing(const keyring::Place& place, const std::string& dir,
                                                     const kms::KeySpec& spec, kms::Kms& kms) {
  const auto peeked = keyring::PeekKeyRing(place.posix, place.dir);
  if (!peeked.ok() && CauseOf(peeked.status()) == Cause::kNotFound) return Create(place, dir, spec, kms);
  KEYHOLD_RETURN_IF_ERROR(peeked.status());
  if (peeked->spec.type != spec.type || peeked->spec.uri != spec.uri) {
    return Error(Cause::kFailedPrecondition,
                 absl::StrCat(dir, " is under the key ", peeked->spec.uri, ", not under ", spec.uri));
  }
  return keyring::KeyRing::Open(place, {peeked->identity, 0}, kms, kKmsBudget);
}

Status Serve(const StoreMountOptions& options, const Ready& ready) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  KEYHOLD_RETURN_IF_ERROR(crypto::InitSecretMemory());
  KEYHOLD_ASSIGN_OR_RETURN(const kms::KeySpec spec, SpecFrom(options.key_spec));
  KEYHOLD_ASSIGN_OR_RETURN(const auto provider,
                           kms::NewProvider({options.environment, "", kMountCluster, SystemPosix(),
                                             SystemClock(), crypto::SystemRandom(), kms::SystemSleeper()}));
  KEYHOLD_ASSIGN_OR_RETURN(const auto kms, provider->Open(spec));
  KEYHOLD_ASSIGN_OR_RETURN(const int dir, OpenDir(options.dir));
  const keyring::Place place{SystemPosix(), dir, crypto::SystemRandom(), SystemClock()};
  KEYHOLD_ASSIGN_OR_RETURN(const auto ring, OpenRing(place, options.dir, spec, *kms));
  store::WriteCounter counter(SystemClock());
  store::MountOptions mount_options;
  mount_options.mountpoint = options.mountpoint;
  const store::Context context{SystemPosix(), crypto::SystemRandom(), *ring, counter};
  KEYHOLD_ASSIGN_OR_RETURN(const auto mount, store::Mount::Start(context, dir, mount_options));
  std::printf("ready: %s is mounted at %s; end it with: keyhold umount %s\n", options.dir.c_str(),
              options.mountpoint.c_str(), options.mountpoint.c_str());
  std::fflush(stdout);
  KEYHOLD_RETURN_IF_ERROR(ready("/dev/null"));
  Status stopped;
  std::thread watcher([&] {
    int signal = 0;
    sigwait(&signals, &signal);
    stopped = mount->Stop(kUnmountPatience);
  });
  mount->Wait();
  pthread_kill(watcher.native_handle(), SIGTERM);
  watcher.join();
  return stopped;
}

}  // namespace

Status RunStoreMount(const StoreMountOptions& options) {
  return RunUntilReady(options.background, [&](const Ready& ready) { return Serve(options, ready); });
}

Status RunStoreUnmount(const std::string& mountpoint) {
  if (umount2(mountpoint.c_str(), UMOUNT_NOFOLLOW) == 0) return OkStatus();
  if (errno == EBUSY) {
    return Error(Cause::kFailedPrecondition,
                 absl::StrCat(mountpoint, " is busy: a program has a file or its directory open there"));
  }
  if (errno == EINVAL) return Error(Cause::kNotFound, absl::StrCat("nothing is mounted at ", mountpoint));
  return ErrnoError(errno, mountpoint);
}

}  // namespace keyhold::app
