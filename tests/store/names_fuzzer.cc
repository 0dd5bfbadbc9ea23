// Entries of a backing directory, links' targets and attributes as they are read from a disk, and names as
// users give them.
#include "store/names.h"
#include "tests/store/fuzz_keys.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace keyhold;
  using namespace keyhold::store;
  static keyhold::testing::FuzzStore fuzz;
  static const Names names = *Names::Of(fuzz.context, NewIdentity(fuzz.context, InodeKind::kDirectory));
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (names.Open(text).has_value()) __builtin_trap();
  if (names.OpenContent(text, text).has_value()) __builtin_trap();
  if (OpenSmall(fuzz.context, "symlink", "", text).ok()) __builtin_trap();
  (void)Names::SideOf(text);
  const auto sealed = names.Seal(text);
  const bool name = !text.empty() && text.size() <= kLongestName;
  if (sealed.ok() != name) __builtin_trap();
  if (name && text.find('\0') == std::string::npos) {
    const auto opened =
        sealed->side.empty() ? names.Open(sealed->entry) : names.OpenContent(sealed->entry, sealed->content);
    if (opened != text || sealed->entry.size() > 255) __builtin_trap();
  }
  return 0;
}
