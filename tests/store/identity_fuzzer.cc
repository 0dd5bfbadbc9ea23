// Identities as they are read from a disk: no crash, and none is taken but one that was made. The input's
// first byte chooses whether the rest replaces a good attribute or is laid over it, and which.
#include "store/identity.h"
#include "tests/store/fuzz_keys.h"

namespace {

using namespace keyhold;         // NOLINT
using namespace keyhold::store;  // NOLINT

std::string Made(keyhold::testing::FuzzStore& fuzz, keyring::DataKeyId previous) {
  Identity identity;
  identity.key = fuzz.keys.Active();
  identity.previous = previous;
  if (!WriteIdentity(fuzz.context, 0, identity).ok()) __builtin_trap();
  return fuzz.posix.attribute;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static keyhold::testing::FuzzStore fuzz;
  static const std::string made[] = {Made(fuzz, 0), Made(fuzz, 1)};
  if (size == 0) return 0;
  std::string& attribute = fuzz.posix.attribute;
  attribute = (data[0] & 1) != 0 ? "" : made[data[0] >> 1 & 1];
  for (size_t i = 1; i < size; ++i) {
    if (i - 1 < attribute.size()) {
      attribute[i - 1] = static_cast<char>(attribute[i - 1] ^ data[i]);
    } else {
      attribute.push_back(static_cast<char>(data[i]));
    }
  }
  const auto read = ReadIdentity(fuzz.context, 0, InodeKind::kFile);
  if (read.ok() != (attribute == made[0] || attribute == made[1])) __builtin_trap();
  if (!read.ok() && CauseOf(read.status()) != Cause::kCorrupt) __builtin_trap();
  return 0;
}
