// A disk that forgets: records what was done to one backing file, and builds what a crash may leave of it.
//
// Since the last sync, each written sector is kept or lost on its own, and of the metadata (size, holes, the
// identity attribute), which is journalled, some prefix is kept. fsync and fdatasync pin all that came before
// them; a write with RWF_DSYNC pins its own sectors and the metadata before it. Nothing is
// really synced: that would cost the tests their time.
#pragma once

#include <linux/falloc.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "store/layout.h"
#include "tests/base/forwarding_posix.h"

namespace keyhold::testing {

// What is on the disk: sectors that are not zero, the size, the attribute.
struct DiskImage {
  std::map<uint64_t, std::string> sectors;
  uint64_t size = 0;
  std::string attribute;

  void Cut(uint64_t new_size) {
    size = new_size;
    sectors.erase(sectors.lower_bound(new_size / store::kSectorSize), sectors.end());
  }
  void Punch(uint64_t first, uint64_t end) {
    sectors.erase(sectors.lower_bound(first), sectors.lower_bound(end));
  }
};

class ForgetfulPosix final : public ForwardingPosix {
 public:
  ssize_t PWrite(int fd, const void* buffer, size_t size, off_t offset, int flags) override {
    const ssize_t n = ForwardingPosix::PWrite(fd, buffer, size, offset, 0);
    const auto* bytes = static_cast<const char*>(buffer);
    for (ssize_t done = 0; done < n; done += store::kSectorSize) {
      Op op{Kind::kSector, (static_cast<uint64_t>(offset) + done) / store::kSectorSize, 0, {}};
      op.bytes.assign(bytes + done, store::kSectorSize);
      op.pinned = flags != 0;
      ops_.push_back(std::move(op));
    }
    return n;
  }
  int FSync(int) override { return Pin(); }
  int FDataSync(int) override { return Pin(); }
  int FTruncate(int fd, off_t size) override {
    ops_.push_back({Kind::kTruncate, static_cast<uint64_t>(size), 0, {}});
    return ForwardingPosix::FTruncate(fd, size);
  }
  int FAllocate(int fd, int mode, off_t offset, off_t size) override {
    if ((mode & FALLOC_FL_PUNCH_HOLE) != 0) {
      const uint64_t first = static_cast<uint64_t>(offset) / store::kSectorSize;
      ops_.push_back({Kind::kPunch, first, first + static_cast<uint64_t>(size) / store::kSectorSize, {}});
    }
    return ForwardingPosix::FAllocate(fd, mode, offset, size);
  }
  int FSetXAttr(int fd, const char* name, const void* value, size_t size, int flags) override {
    ops_.push_back({Kind::kAttribute, 0, 0, std::string(static_cast<const char*>(value), size)});
    return ForwardingPosix::FSetXAttr(fd, name, value, size, flags);
  }

  // One outcome of a crash now.
  DiskImage Crash(std::mt19937_64& random) const {
    DiskImage image = durable_;
    size_t metadata = 0;
    for (const Op& op : ops_) metadata += op.kind != Kind::kSector;
    size_t kept = std::uniform_int_distribution<size_t>(0, metadata)(random);
    // A pinned write brings along the metadata before it.
    size_t seen = 0;
    for (const Op& op : ops_) {
      seen += op.kind != Kind::kSector;
      if (op.pinned) kept = std::max(kept, seen);
    }
    for (const Op& op : ops_) {
      if (op.kind == Kind::kSector) {
        if (op.pinned || random() % 2 == 0) Apply(op, image);
      } else if (kept > 0) {
        --kept;
        Apply(op, image);
      }
    }
    return image;
  }

 private:
  enum class Kind { kSector, kTruncate, kPunch, kAttribute };
  struct Op {
    Kind kind;
    uint64_t first;
    uint64_t end;
    std::string bytes;
    bool pinned = false;
  };

  static void Apply(const Op& op, DiskImage& image) {
    switch (op.kind) {
      case Kind::kSector:
        image.sectors[op.first] = op.bytes;
        image.size = std::max(image.size, (op.first + 1) * store::kSectorSize);
        break;
      case Kind::kTruncate:
        image.Cut(op.first);
        break;
      case Kind::kPunch:
        image.Punch(op.first, op.end);
        break;
      case Kind::kAttribute:
        image.attribute = op.bytes;
    }
  }

  int Pin() {
    for (const Op& op : ops_) Apply(op, durable_);
    ops_.clear();
    return 0;
  }

  DiskImage durable_;
  std::vector<Op> ops_;  // since the last sync
};

}  // namespace keyhold::testing
