#include "store/identity.h"

#include <cerrno>
#include <cstring>

#include "crypto/hash.h"
#include "store/bytes.h"

namespace keyhold::store {
namespace {

constexpr uint8_t kVersion = 1;
constexpr uint8_t kMovingVersion = 2;  // with the previous key

// Offsets in the attribute.
constexpr size_t kVersionAt = 0;
constexpr size_t kKindAt = 1;
constexpr size_t kFlagsAt = 2;
constexpr size_t kKeyAt = 4;
constexpr size_t kIdAt = 8;
constexpr size_t kSealedAt = 24;
constexpr size_t kCounterAt = 32;
constexpr size_t kPreviousAt = 40;  // version 2
constexpr uint16_t kBornFlag = 2;
constexpr uint16_t kRegisteredFlag = 4;

constexpr size_t kTagLength = 16;
constexpr size_t kLargestAttribute = 60;

using Attribute = std::array<uint8_t, kLargestAttribute>;

constexpr size_t TagAt(uint8_t version) { return version == kMovingVersion ? 44 : 40; }

}  // namespace

uint64_t Identity::Birth() const { return born ? Load<uint64_t>(id.data()) : 0; }

void Identity::SetBirth(uint64_t birth) {
  born = true;
  Save<uint64_t>(id.data(), birth);
}

Identity NewIdentity(const Context& context, InodeKind kind) {
  Identity identity;
  identity.kind = kind;
  identity.key = context.keys.Active();
  context.random.Fill(identity.id);
  return identity;
}

StatusOr<Identity> ReadIdentity(const Context& context, int fd, InodeKind kind) {
  Attribute bytes{};
  const ssize_t size = context.posix.FGetXAttr(fd, kIdentityAttribute, bytes.data(), bytes.size());
  if (size == -ENODATA)
    return Error(Cause::kCorrupt, "it has no identity (the extended attribute user.keyhold)");
  if (size < 0 && size != -ERANGE) return ErrnoError(static_cast<int>(-size), "reading an identity");
  const uint8_t version = bytes[kVersionAt];
  const size_t tag_at = TagAt(version);
  if (size < 0 || static_cast<size_t>(size) != tag_at + kTagLength ||
      (version != kVersion && version != kMovingVersion) ||
      (Load<uint16_t>(&bytes[kFlagsAt]) & ~(kBornFlag | kRegisteredFlag)) != 0) {
    return Error(Cause::kCorrupt, "its identity is of an unknown form; was it written by a newer Keyhold?");
  }
  Identity identity;
  identity.kind = static_cast<InodeKind>(bytes[kKindAt]);
  identity.born = (Load<uint16_t>(&bytes[kFlagsAt]) & kBornFlag) != 0;
  identity.registered = (Load<uint16_t>(&bytes[kFlagsAt]) & kRegisteredFlag) != 0;
  identity.key = Load<uint32_t>(&bytes[kKeyAt]);
  std::memcpy(identity.id.data(), &bytes[kIdAt], identity.id.size());
  identity.sealed_blocks = Load<uint64_t>(&bytes[kSealedAt]);
  identity.counter = Load<uint64_t>(&bytes[kCounterAt]);
  if (version == kMovingVersion) identity.previous = Load<uint32_t>(&bytes[kPreviousAt]);
  auto tag = context.identity_keys->Mac(context.keys, identity.key, crypto::Bytes(bytes).first(tag_at));
  if (!tag.ok())
    return Error(Cause::kCorrupt, std::string("its identity: ") + std::string(tag.status().message()));
  if (identity.kind != kind || !crypto::ConstantTimeEqual(crypto::Bytes(*tag).first(kTagLength),
                                                          crypto::Bytes(bytes).subspan(tag_at, kTagLength))) {
    return Error(Cause::kCorrupt, "its identity does not authenticate");
  }
  return identity;
}

Status WriteIdentity(const Context& context, int fd, const Identity& identity) {
  Attribute bytes{};
  const uint8_t version = identity.previous == 0 ? kVersion : kMovingVersion;
  const size_t tag_at = TagAt(version);
  bytes[kVersionAt] = version;
  bytes[kKindAt] = static_cast<uint8_t>(identity.kind);
  Save<uint16_t>(&bytes[kFlagsAt], static_cast<uint16_t>((identity.born ? kBornFlag : 0) |
                                                         (identity.registered ? kRegisteredFlag : 0)));
  Save<uint32_t>(&bytes[kKeyAt], identity.key);
  std::memcpy(&bytes[kIdAt], identity.id.data(), identity.id.size());
  Save<uint64_t>(&bytes[kSealedAt], identity.sealed_blocks);
  Save<uint64_t>(&bytes[kCounterAt], identity.counter);
  if (identity.previous != 0) Save<uint32_t>(&bytes[kPreviousAt], identity.previous);
  KEYHOLD_ASSIGN_OR_RETURN(
      const crypto::Sha256Digest tag,
      context.identity_keys->Mac(context.keys, identity.key, crypto::Bytes(bytes).first(tag_at)));
  std::memcpy(&bytes[tag_at], tag.data(), kTagLength);
  const int result = context.posix.FSetXAttr(fd, kIdentityAttribute, bytes.data(), tag_at + kTagLength, 0);
  if (result == -EOPNOTSUPP) {
    return Error(Cause::kFailedPrecondition,
                 "the file system below the store has no user extended attributes; use ext4, XFS or btrfs");
  }
  return result == 0 ? OkStatus() : ErrnoError(-result, "writing an identity");
}

}  // namespace keyhold::store
