// Identities as they are read from a disk: no crash, and none is taken but one that was made. The input's
// first byte chooses whether the rest replaces a good attribute or is laid over it.
#include "store/identity.h"
#include "tests/store/fuzz_keys.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace keyhold;
  using namespace keyhold::store;
  static testing::FuzzStore fuzz;
  if (size == 0) return 0;
  Identity identity = NewIdentity(fuzz.context, InodeKind::kFile);
  identity.previous = data[0] & 2;
  if (!WriteIdentity(fuzz.context, 0, identity).ok()) __builtin_trap();
  const std::string good = fuzz.posix.attribute;
  std::string& attribute = fuzz.posix.attribute;
  if ((data[0] & 1) != 0) attribute.clear();
  for (size_t i = 1; i < size; ++i) {
    if (i - 1 < attribute.size()) {
      attribute[i - 1] = static_cast<char>(attribute[i - 1] ^ data[i]);
    } else {
      attribute.push_back(static_cast<char>(data[i]));
    }
  }
  const auto read = ReadIdentity(fuzz.context, 0, InodeKind::kFile);
  if (read.ok() != (attribute == good)) __builtin_trap();
  if (!read.ok() && CauseOf(read.status()) != Cause::kCorrupt) __builtin_trap();
  return 0;
}
