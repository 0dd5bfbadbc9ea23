// Makes a store of many small files, under the fixed keys of store_mount_helper, without a mount.
//   store_fill STORE FILES
#include <fcntl.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "store/tree.h"
#include "tests/store/store_fixture.h"

namespace {

using namespace keyhold;
using namespace keyhold::store;

constexpr size_t kFilesOfADirectory = 1000;
constexpr size_t kFilesInMemory = 100'000;
constexpr size_t kOpenDescriptors = 256;
constexpr char kContent[] = "a small file\n";

Status MakeFile(Tree& tree, Inode* directory, const std::string& name) {
  KEYHOLD_ASSIGN_OR_RETURN(const Entry file, tree.MakeFile(directory, name, 0644, {}));
  const Status written = tree.Write(file.inode, 0, crypto::AsBytes(kContent), Durability::kLazy);
  tree.Forget(file.inode, 1);
  return written;
}

Status Fill(Tree& tree, size_t files) {
  for (size_t first = 0; first < files; first += kFilesOfADirectory) {
    KEYHOLD_ASSIGN_OR_RETURN(const Entry directory,
                             tree.MakeDirectory(tree.root(), std::to_string(first), 0755, {}));
    for (size_t i = first; i < std::min(first + kFilesOfADirectory, files); ++i) {
      KEYHOLD_RETURN_IF_ERROR(MakeFile(tree, directory.inode, std::to_string(i)));
    }
    tree.Forget(directory.inode, 1);
    if ((first + kFilesOfADirectory) % kFilesInMemory == 0) tree.SealSome(absl::ZeroDuration());
  }
  return tree.Close();
}

Status Run(const char* store, size_t files) {
  const int fd = open(store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return ErrnoError(errno, store);
  keyhold::testing::TestKeys keys;
  WriteCounter counter(SystemClock());
  KEYHOLD_ASSIGN_OR_RETURN(const auto tree, Tree::Open({SystemPosix(), crypto::SystemRandom(), keys, counter},
                                                       fd, kOpenDescriptors, 0));
  return Fill(*tree, files);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 || !crypto::InitSecretMemory().ok()) return 2;
  const Status filled = Run(argv[1], std::strtoull(argv[2], nullptr, 10));
  if (filled.ok()) return 0;
  std::fprintf(stderr, "store_fill: %s\n", std::string(filled.message()).c_str());
  return 1;
}
