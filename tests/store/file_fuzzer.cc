// A sealed file whose backing file is then changed anywhere: what is read is what was written, or an error;
// never anything else. The input is a row of changes: place (4 bytes), what (1), value (1).
#include <cstring>

#include "store/file.h"
#include "tests/store/fuzz_keys.h"

namespace {

using namespace keyhold;         // NOLINT
using namespace keyhold::store;  // NOLINT

constexpr size_t kSize = 5 * kPayloadSize + 123;

std::string Model() {
  std::string model(kSize, '\0');
  for (size_t i = 0; i < kSize; ++i) model[i] = static_cast<char>('a' + i % 25);
  return model;
}

void Make(keyhold::testing::FuzzStore& fuzz) {
  const auto file = File::Create(fuzz.context, 0, NewIdentity(fuzz.context, InodeKind::kFile));
  if (!(*file)->Write(0, 0, crypto::AsBytes(Model()), Durability::kLazy).ok()) __builtin_trap();
  if (!(*file)->Sync(0, false).ok()) __builtin_trap();
  while ((*file)->HasUnsealed()) {
    if (!(*file)->Seal(0).ok()) __builtin_trap();
  }
}

void Change(std::string& content, uint32_t place, uint8_t what, uint8_t value) {
  if (content.empty()) return;
  const size_t sectors = content.size() / kSectorSize;
  const size_t at = place % content.size();
  switch (what % 4) {
    case 0:
      content[at] = static_cast<char>(content[at] ^ value);
      break;
    case 1:
      content.resize(at);
      break;
    case 2:
      if (sectors != 0) std::memset(&content[place % sectors * kSectorSize], 0, kSectorSize);
      break;
    default:
      if (sectors != 0) {
        std::memmove(&content[place % sectors * kSectorSize], &content[value % sectors * kSectorSize],
                     kSectorSize);
      }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static keyhold::testing::FuzzStore fuzz;
  static const std::string model = Model();
  static const std::string good = [] {
    Make(fuzz);
    return fuzz.posix.content;
  }();
  fuzz.posix.content = good;
  for (; size >= 6; data += 6, size -= 6) {
    uint32_t place;
    std::memcpy(&place, data, sizeof place);
    Change(fuzz.posix.content, place, data[4], data[5]);
  }
  const auto file = File::Open(fuzz.context, 0);
  if (!file.ok()) {
    if (CauseOf(file.status()) != Cause::kCorrupt) __builtin_trap();
    return 0;
  }
  if ((*file)->size() != model.size()) __builtin_trap();
  for (uint64_t block = 0; block < BlocksFor(kSize); ++block) {
    std::array<uint8_t, kPayloadSize> out;
    const auto got = (*file)->Read(0, StartOf(block), out);
    if (!got.ok() && CauseOf(got.status()) != Cause::kCorrupt) __builtin_trap();
    if (got.ok() && std::memcmp(out.data(), &model[StartOf(block)], *got) != 0) __builtin_trap();
  }
  for (std::optional<uint64_t> next = 0; next.has_value();) {
    Survey survey;
    next = *(*file)->LookAt(0, *next, SurveyKind::kVerify, &survey);
  }
  return 0;
}
