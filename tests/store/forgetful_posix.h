// A disk that forgets: records what was done to one backing file, and builds what a crash may leave of it.
//
// Since the last sync, each written sector is kept or lost on its own, and of the metadata (size, holes, the
// identity attribute), which is journalled, some prefix is kept. fsync pins all that came before it.
// fdatasync pins all but attributes, those too where a change of size or holes came after them (as in ext4's
// journal); a write with RWF_DSYNC does the same for its own sectors alone. Nothing is really synced: that
// would cost the tests their time.
#pragma once

#include <linux/falloc.h>

#include <algorithm>
#include <cstddef>
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
      op.grows = op.first >= sectors_;
      sectors_ = std::max(sectors_, op.first + 1);
      ops_.push_back(std::move(op));
    }
    return n;
  }
  int FSync(int) override { return Pin(ops_.size()); }
  int FDataSync(int) override { return Pin(MustKeep(true)); }
  int SyncFs(int fd) override { return FSync(fd); }
  int FTruncate(int fd, off_t size) override {
    ops_.push_back({Kind::kTruncate, static_cast<uint64_t>(size), 0, {}});
    sectors_ = static_cast<uint64_t>(size) / store::kSectorSize;
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
    const size_t must = MustKeep(false);
    kept = std::max<size_t>(kept, std::count_if(ops_.begin(), ops_.begin() + static_cast<ptrdiff_t>(must),
                                                [](const Op& op) { return op.kind != Kind::kSector; }));
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
    bool grows = false;
  };

  // How many operations from the first hold all metadata that a sync of data now, or the pinned writes alone,
  // bring along.
  size_t MustKeep(bool sync) const {
    size_t must = 0;
    size_t candidate = 0;
    for (size_t i = 0; i < ops_.size(); ++i) {
      const Op& op = ops_[i];
      if (op.grows || op.kind == Kind::kTruncate || op.kind == Kind::kPunch) candidate = i + 1;
      if (op.pinned || sync) must = candidate;
    }
    return must;
  }

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

  // The first `metadata` operations, and every sector.
  int Pin(size_t metadata) {
    std::vector<Op> rest;
    for (size_t i = 0; i < ops_.size(); ++i) {
      if (i < metadata || ops_[i].kind == Kind::kSector) {
        Apply(ops_[i], durable_);
      } else {
        rest.push_back(std::move(ops_[i]));
      }
    }
    ops_ = std::move(rest);
    return 0;
  }

  DiskImage durable_;
  uint64_t sectors_ = 0;  // the file's size now
  std::vector<Op> ops_;   // since the last sync
};

}  // namespace keyhold::testing
