// What an authentic register may hold: it is refused, or taken and can be worked with.
#include "store/register.h"

#include "store/file.h"
#include "tests/store/fuzz_keys.h"

namespace {

using namespace keyhold;         // NOLINT
using namespace keyhold::store;  // NOLINT

// The register, under whatever name.
class OneFile final : public keyhold::testing::ForwardingPosix {
 public:
  explicit OneFile(Posix& file) : ForwardingPosix(file) {}
  int OpenAt(int, const char*, int flags, mode_t) override {
    return (flags & O_TRUNC) != 0 ? FTruncate(0, 0) : 0;
  }
  int Close(int) override { return 0; }
  int RenameAt2(int, const char*, int, const char*, unsigned) override { return 0; }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  keyhold::testing::FuzzStore fuzz;
  OneFile posix(fuzz.posix);
  const Context context{posix, fuzz.random, fuzz.keys, fuzz.counter};
  const auto file = File::Create(context, 0, NewIdentity(context, InodeKind::kRegister));
  if (!(*file)->Write(0, 0, {data, size}, Durability::kLazy).ok()) __builtin_trap();
  const auto opened = Register::Open(context, 0);
  if (!opened.ok()) return 0;
  Register& lines = **opened;
  const size_t before = lines.size();
  const auto made = lines.Enter(InodeKind::kFile);
  if (!made.ok() || !lines.Check(*made).ok()) __builtin_trap();
  lines.Raise(made->id, PartOfMap(7), 3);
  if (!lines.Write(0, true).ok()) __builtin_trap();
  const auto again = Register::Open(context, 0);
  if (!again.ok() || (*again)->size() != before + 2 || (*again)->Least(made->id, PartOfMap(7)) != 3)
    __builtin_trap();
  return 0;
}
