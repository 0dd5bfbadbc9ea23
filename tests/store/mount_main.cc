// Mounts the store in a directory under fixed test keys, until it is unmounted: for tests in shell and
// Python.
//   store_mount_helper STORE MOUNTPOINT [no-xattr] [eager]
// eager: syncs, seals and writes its register all the time, so that a kill meets it there.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <string_view>

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
  for (int i = 3; i < argc; ++i) {
    if (argv[i] == std::string_view("no-xattr")) options.extended_attributes = false;
    if (argv[i] == std::string_view("eager")) {
      options.seal_interval = options.register_interval = options.sync_after = absl::Milliseconds(50);
    }
  }
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
