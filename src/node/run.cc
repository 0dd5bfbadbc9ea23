#include "node/run.h"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "kms/platform_key.h"
#include "kms/provider.h"
#include "node/memory.h"
#include "node/node.h"

namespace keyhold::node {
namespace {

// A place that every user can walk to, in this namespace alone: DIR is closed to PostgreSQL's user.
constexpr char kPlace[] = "/mnt";
constexpr char kMountpoint[] = "/mnt/store";
constexpr char kSockets[] = "/mnt/sockets";

Status EnterOwnNamespace() {
  if (unshare(CLONE_NEWNS) != 0) return ErrnoError(errno, "making a mount namespace (a node runs as root)");
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return ErrnoError(errno, "making mounts private");
  if (mount("keyhold", kPlace, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=1m,mode=0755") != 0) {
    return ErrnoError(errno, "mounting a place for the store at /mnt");
  }
  if (mkdir(kMountpoint, 0755) != 0 || mkdir(kSockets, 0700) != 0)
    return ErrnoError(errno, "making /mnt/store");
  return OkStatus();
}

sigset_t EndingSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

}  // namespace

Status RunNode(const RunOptions& options, const std::function<void()>& ready) {
  KEYHOLD_RETURN_IF_ERROR(EnterOwnNamespace());
  const sigset_t signals = EndingSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  KEYHOLD_ASSIGN_OR_RETURN(const wire::DesiredNode desired, ReadDesired(options.dir));
  KEYHOLD_RETURN_IF_ERROR(kms::OpenPlatformKey(SystemPosix(), options.platform_key, crypto::SystemRandom(),
                                               kms::IfMissing::kCreate)
                              .status());
  KEYHOLD_ASSIGN_OR_RETURN(
      const auto provider,
      kms::NewProvider({options.environment, options.platform_key, desired.organization_id, SystemPosix(),
                        SystemClock(), crypto::SystemRandom(), kms::SystemSleeper()}));
  NodeOptions node_options{options.dir, kMountpoint, kSockets, options.postgres_bin};
  KEYHOLD_ASSIGN_OR_RETURN(const auto node, Node::Start(node_options, {SystemPosix(), SystemClock(),
                                                                       crypto::SystemRandom(), *provider}));
  ready();
  // One thread waits for a signal, this one for the end: either way of stopping is the same stop.
  std::thread watcher([&] {
    int signal = 0;
    sigwait(&signals, &signal);
    node->Stop();
  });
  node->Wait();
  pthread_kill(watcher.native_handle(), SIGTERM);
  watcher.join();
  return OkStatus();
}

}  // namespace keyhold::node
