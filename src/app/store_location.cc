#include "app/store_location.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "node/memory.h"

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

}  // namespace keyhold::app
