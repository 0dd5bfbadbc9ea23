#include "app/store_location.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "node/memory.h"
#include "store/lock.h"

namespace keyhold::app {
namespace {

bool Exists(const std::string& path) {
  struct stat found;
  return stat(path.c_str(), &found) == 0;
}

}  // namespace

StoreLocation LocationOf(const std::string& dir) {
  const std::string path = std::filesystem::absolute(dir).lexically_normal();
  if (Exists(path + "/desired.json")) return {path + "/store", path};
  const std::string above = std::filesystem::path(path + "/.").parent_path().parent_path();
  return {path, Exists(above + "/desired.json") ? above : ""};
}

StatusOr<node::Past> SeenBy(const std::string& node_dir) {
  if (node_dir.empty()) return node::Past{};
  KEYHOLD_ASSIGN_OR_RETURN(const node::Memory memory, node::ReadMemory(node_dir));
  KEYHOLD_ASSIGN_OR_RETURN(const wire::DesiredNode desired, node::ReadDesired(node_dir));
  return node::Past{std::max(memory.key_ring_epoch, desired.min_key_ring_epoch),
                    std::max(memory.store_generation, desired.min_store_generation)};
}

StatusOr<LockedStore> Lock(const StoreLocation& location) {
  LockedStore locked;
  const int fd = open(location.store.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return ErrnoError(errno, location.store);
  locked.dir = std::make_unique<store::Descriptor>(SystemPosix(), fd);
  KEYHOLD_ASSIGN_OR_RETURN(locked.lock, store::LockStore(SystemPosix(), fd));
  KEYHOLD_ASSIGN_OR_RETURN(locked.peeked, keyring::PeekKeyRing(SystemPosix(), fd));
  return locked;
}

}  // namespace keyhold::app
