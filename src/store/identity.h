// Who a file or directory of the store is: the extended attribute on its backing inode.
//
// It is set when the inode is made, before anything else is written there; a journalling file system keeps
// that order, so a backing file with content always has it. Copies of a store must keep extended attributes.
// Format: docs/formats/store.md.
#pragma once

#include "store/context.h"

namespace keyhold::store {

inline constexpr char kIdentityAttribute[] = "user.keyhold";

enum class InodeKind : uint8_t { kFile = 1, kDirectory = 2, kRegister = 3 };

struct Identity {
  InodeKind kind = InodeKind::kFile;
  DataKeyId key = 0;       // that authenticates this attribute; names below the inode are under it
  DataKeyId previous = 0;  // 0, or the key that some of those names are still under: a crash cut their move
  FileId id{};             // of the file or directory
  uint64_t sealed_blocks = 0;  // files: blocks below this are covered by their group's map
  uint64_t counter = 0;        // grows with every change; files: no write counter of a map is greater, ever
  bool born = false;           // the id begins with the file's birth
  bool registered = false;     // of a root: the store has a register

  // The first register that has a line for it has a greater birth; 0 for what was made before registers were.
  uint64_t Birth() const;
  void SetBirth(uint64_t birth);
};

// A counter in an identity is this far ahead: writing it durably is then rare. Ten minutes.
inline constexpr uint64_t kReservedAhead = 600'000'000;

// A new identity with a fresh id under the active data key. Nothing is written.
Identity NewIdentity(const Context& context, InodeKind kind);

// kCorrupt: missing, damaged, or not made with this store's keys.
StatusOr<Identity> ReadIdentity(const Context& context, int fd, InodeKind kind);

// Writes it to the backing inode; durable when that inode is next synced, and ordered before what is done to
// the inode afterwards.
Status WriteIdentity(const Context& context, int fd, const Identity& identity);

}  // namespace keyhold::store
