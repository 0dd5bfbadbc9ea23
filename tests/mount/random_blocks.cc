#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <set>

#include "tests/mount/random_jobs.h"

namespace keyhold::testing {
namespace {

constexpr size_t kBlock = BlocksModel::kBlock;
constexpr uint32_t kBlocks = BlocksModel::kBlocks;
constexpr uint32_t kLongest = 256;  // blocks of one operation
constexpr int kLooks = 64;          // blocks that are looked at beside those that were written last

off_t At(uint64_t block) { return static_cast<off_t>(block * kBlock); }

class BlocksJob final : public Job {
 public:
  BlocksJob(const std::string& dir, BlocksModel& model, uint64_t seed)
      : Job(dir, seed),
        path_(dir + "/blocks"),
        model_(model),
        buffer_(static_cast<uint64_t*>(std::aligned_alloc(kBlock, kLongest * kBlock)), std::free) {}

  bool Step() override {
    if (model_.logged == BlocksModel::kLog) return Sync();
    switch (Pick(16)) {
      case 0:
        return Sync();
      case 1:
        return Pick(8) != 0 || Truncate();
      case 2:
        return Zero();
      case 3:
        return Map();
      case 4:
      case 5:
      case 6:
        return Read(0);
      case 7:
        return Read(O_DIRECT);
      case 8:
      case 9:
        return Write(O_DIRECT);
      case 10:
        return Write(O_DSYNC);
      default:
        return Write(0);
    }
  }

  void Check(bool killed) override {
    const Opened opened(path_, O_RDWR | O_CREAT);
    if (opened.fd < 0) Fail("opening " + path_);
    CheckSize(opened.fd, killed);
    for (size_t i = 0; i < model_.logged; ++i) {
      for (uint32_t block = model_.log[i].first; block < model_.log[i].end; ++block)
        Look(opened.fd, block, killed);
    }
    for (int i = 0; i < kLooks; ++i) Look(opened.fd, static_cast<uint32_t>(Pick(kBlocks)), killed);
    if (fsync(opened.fd) != 0) Fail("fsync of " + path_);
    Settle();
  }

 private:
  struct Range {
    uint32_t first, end;
  };
  Range PickRange(uint32_t below) {
    const auto first = static_cast<uint32_t>(Pick(below));
    const uint32_t longest = Pick(16) == 0 ? kLongest : 8;
    return {first, first + 1 + static_cast<uint32_t>(Pick(std::min(longest, below - first)))};
  }

  uint64_t* BlockOf(size_t i) const { return buffer_.get() + i * (kBlock / sizeof(uint64_t)); }
  static void Stamp(uint64_t* at, uint64_t number, uint32_t block) {
    for (size_t i = 0; i < kBlock / sizeof(uint64_t); i += 2) {
      at[i] = number;
      at[i + 1] = number == 0 ? 0 : block;
    }
  }
  // Every number that is in the block; words of another block are an error.
  std::set<uint64_t> NumbersIn(const uint64_t* at, uint32_t block) const {
    std::set<uint64_t> numbers;
    for (size_t i = 0; i < kBlock / sizeof(uint64_t); i += 2) {
      if (at[i + 1] != (at[i] == 0 ? 0 : block)) Fail(NameOf(block) + " has what was never written there");
      numbers.insert(at[i]);
    }
    return numbers;
  }
  // While the mount lives, a block is as it was written last.
  void ExpectNow(const uint64_t* at, uint32_t block) const {
    if (NumbersIn(at, block) != std::set<uint64_t>{model_.now[block]}) FailBlock(at, block);
  }

  // From here on each block may be as before or of this write.
  uint64_t Begin(Range range, bool zeroes) {
    const uint64_t number = zeroes ? 0 : ++model_.number;
    model_.log[model_.logged] = {number, range.first, range.end};
    ++model_.logged;
    return number;
  }
  void Grow(uint32_t to) { model_.most = std::max(model_.most, to); }
  void Done(Range range, uint64_t number) {
    std::fill(&model_.now[range.first], &model_.now[range.end - 1] + 1, number);
  }
  void IsDurable(Range range, uint64_t number) {
    for (uint32_t block = range.first; block < range.end; ++block) {
      model_.settled[block] = number;
      model_.since[block] = static_cast<uint16_t>(model_.logged);
    }
    model_.least = std::max(model_.least, std::min(range.end, model_.size));
  }
  void Settle() {
    for (size_t i = 0; i < model_.logged; ++i) {
      for (uint32_t block = model_.log[i].first; block < model_.log[i].end; ++block) {
        model_.settled[block] = model_.now[block];
        model_.since[block] = 0;
      }
    }
    model_.logged = 0;
    model_.least = model_.most = model_.size;
  }

  bool Write(int flags) {
    const Range range = PickRange(kBlocks);
    const Opened opened(path_, O_RDWR | flags);
    if (opened.fd < 0) return !Gone("opening " + path_);
    Grow(range.end);
    const uint64_t number = Begin(range, false);
    for (uint32_t block = range.first; block < range.end; ++block)
      Stamp(BlockOf(block - range.first), number, block);
    if (!WriteWhole(opened.fd, buffer_.get(), (range.end - range.first) * kBlock, range.first * kBlock)) {
      return !Gone("writing " + path_);
    }
    Done(range, number);
    model_.size = std::max(model_.size, range.end);
    if ((flags & O_DSYNC) != 0) IsDurable(range, number);
    return true;
  }

  bool Map() {
    if (model_.size == 0) return true;
    const Range range = PickRange(model_.size);
    const size_t size = (range.end - range.first) * kBlock;
    const Opened opened(path_, O_RDWR);
    if (opened.fd < 0) return !Gone("opening " + path_);
    // A mapping of a mount that was killed ends its user with SIGBUS. MAP_POPULATE would not: Linux 6.18 was
    // seen to try for ever.
    void* map = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, opened.fd, At(range.first));
    if (map == MAP_FAILED) return !Gone("mapping " + path_);
    auto* blocks = static_cast<uint64_t*>(map);
    for (uint32_t block = range.first; block < range.end; ++block) {
      ExpectNow(blocks + (block - range.first) * (kBlock / sizeof(uint64_t)), block);
    }
    const uint64_t number = Begin(range, false);
    for (uint32_t block = range.first; block < range.end; ++block) {
      Stamp(blocks + (block - range.first) * (kBlock / sizeof(uint64_t)), number, block);
    }
    Done(range, number);
    const bool synced = msync(map, size, MS_SYNC) == 0;
    munmap(map, size);
    return synced || !Gone("msync of " + path_);
  }

  bool Zero() {
    if (model_.size == 0) return true;
    const Range range = PickRange(model_.size);
    const int mode = Pick(2) == 0 ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;
    const Opened opened(path_, O_RDWR);
    if (opened.fd < 0) return !Gone("opening " + path_);
    Begin(range, true);
    if (fallocate(opened.fd, mode | FALLOC_FL_KEEP_SIZE, At(range.first), At(range.end - range.first)) != 0) {
      return !Gone("fallocate in " + path_);
    }
    Done(range, 0);
    return true;
  }

  bool Truncate() {
    const auto size = static_cast<uint32_t>(Pick(kBlocks));
    Grow(size);
    if (size < model_.size) Begin({size, model_.size}, true);
    model_.least = std::min(model_.least, size);
    if (truncate(path_.c_str(), At(size)) != 0) return !Gone("truncating " + path_);
    if (size < model_.size) Done({size, model_.size}, 0);
    model_.size = size;
    return true;
  }

  bool Sync() {
    const Opened opened(path_, O_RDWR);
    if (opened.fd < 0) return !Gone("opening " + path_);
    if ((Pick(2) == 0 ? fsync(opened.fd) : fdatasync(opened.fd)) != 0) return !Gone("fsync of " + path_);
    Settle();
    return true;
  }

  bool Read(int flags) {
    const Range range = PickRange(kBlocks);
    const Opened opened(path_, O_RDONLY | flags);
    if (opened.fd < 0) return !Gone("opening " + path_);
    if (Pick(2) == 0) posix_fadvise(opened.fd, 0, 0, POSIX_FADV_DONTNEED);
    const ssize_t got =
        ReadWhole(opened.fd, buffer_.get(), (range.end - range.first) * kBlock, At(range.first));
    if (got < 0) return !Gone("reading " + path_);
    const uint32_t end = std::clamp(model_.size, range.first, range.end);
    if (got != At(end - range.first)) Fail("a read of " + path_ + " has another length");
    for (uint32_t block = range.first; block < end; ++block) ExpectNow(BlockOf(block - range.first), block);
    return true;
  }

  std::string NameOf(uint32_t block) const { return "block " + std::to_string(block) + " of " + path_; }
  [[noreturn]] void FailBlock(const uint64_t* at, uint32_t block) const {
    std::string found;
    for (const uint64_t number : NumbersIn(at, block)) found += std::to_string(number) + " ";
    Fail(NameOf(block) + " is of write " + found + "and should be of " + std::to_string(model_.now[block]) +
         ", last synced " + std::to_string(model_.settled[block]));
  }

  bool May(uint32_t block, uint64_t number) const {
    if (number == model_.settled[block]) return true;
    // Where the file was shorter for a while, or its end was not written, there are zeroes.
    if (number == 0 && block >= model_.least) return true;
    for (size_t i = model_.since[block]; i < model_.logged; ++i) {
      const BlocksModel::Write& write = model_.log[i];
      if (write.number == number && block >= write.first && block < write.end) return true;
    }
    return false;
  }

  // A write that was killed may have ended within a block.
  void CheckSize(int fd, bool killed) {
    struct stat st;
    if (fstat(fd, &st) != 0) Fail("reading " + path_);
    const auto size = static_cast<uint32_t>((st.st_size + At(1) - 1) / At(1));
    const bool fits = killed ? size >= model_.least && size <= model_.most : st.st_size == At(model_.size);
    if (!fits) {
      Fail("the size of " + path_ + " is " + std::to_string(st.st_size) + " and should be " +
           std::to_string(At(model_.size)) + ", least " + std::to_string(At(model_.least)));
    }
    if (ftruncate(fd, At(size)) != 0) Fail("truncating " + path_);
    model_.size = size;
  }

  // What is of several writes after a kill is zeroed, so that it is of one again.
  void Look(int fd, uint32_t block, bool killed) {
    if (block >= model_.size) {
      model_.now[block] = model_.settled[block] = 0;
      return;
    }
    const uint64_t* at = buffer_.get();
    if (pread(fd, buffer_.get(), kBlock, At(block)) != At(1)) Fail("reading " + path_);
    if (!killed) return ExpectNow(at, block);
    const std::set<uint64_t> numbers = NumbersIn(at, block);
    for (const uint64_t number : numbers) {
      if (!May(block, number)) FailBlock(at, block);
    }
    if (numbers.size() > 1 &&
        fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, At(block), At(1)) != 0) {
      Fail("punching " + path_);
    }
    model_.now[block] = numbers.size() > 1 ? 0 : *numbers.begin();
  }

  const std::string path_;
  BlocksModel& model_;
  const std::unique_ptr<uint64_t, decltype(&std::free)> buffer_;
};

}  // namespace

std::unique_ptr<Job> NewBlocksJob(const std::string& dir, BlocksModel& model, uint64_t seed) {
  return std::make_unique<BlocksJob>(dir, model, seed);
}

}  // namespace keyhold::testing
