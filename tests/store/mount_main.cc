// Mounts the store in a directory under fixed test keys, until it is unmounted: for tests in shell and
// Python.
//   store_mount_helper STORE MOUNTPOINT
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

#include "store/mount.h"
#include "tests/store/store_fixture.h"

int main(int argc, char** argv) {
  using namespace keyhold;
  if (argc < 3 || !crypto::InitSecretMemory().ok()) return 2;
  const int store = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  keyhold::testing::TestKeys keys;
  store::WriteCounter counter(SystemClock());
  store::MountOptions options;
  options.mountpoint = argv[2];
  options.extended_attributes = argc < 4;
  const auto mount =
      store::Mount::Start({SystemPosix(), crypto::SystemRandom(), keys, counter}, store, options);
  if (!mount.ok()) {
    fprintf(stderr, "%s\n", std::string(mount.status().message()).c_str());
    return 1;
  }
  puts("ready");
  fflush(stdout);
  (*mount)->Wait();
  const Status stopped = (*mount)->Stop(absl::ZeroDuration());
  return stopped.ok() ? 0 : 1;
}
