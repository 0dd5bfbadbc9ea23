#include "store/lock.h"

#include <sys/file.h>

namespace keyhold::store {

StatusOr<std::unique_ptr<Descriptor>> LockStore(Posix& posix, int store) {
  const int fd = posix.OpenAt(store, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (fd < 0) return ErrnoError(-fd, "opening the store's directory");
  auto lock = std::make_unique<Descriptor>(posix, fd);
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return lock;
  return Error(Cause::kFailedPrecondition, "the store is in use by another process; is it mounted?");
}

}  // namespace keyhold::store
