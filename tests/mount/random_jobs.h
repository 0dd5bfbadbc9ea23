// What the processes of mount_random do: random operations on what is theirs, each held against a model. The
// models are in memory that outlives a process which is cut off, and are plain bytes therefore.
//
// After a clean end everything is as in its model. After a kill of the process that serves the mount, what
// was fsynced is there, everything else is something that was written there since, and names are as the calls
// that returned left them.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <bitset>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace keyhold::testing {

[[noreturn]] void Fail(const std::string& what);  // with errno; ends the process

class Job {
 public:
  Job(std::string dir, uint64_t seed) : dir_(std::move(dir)), random_(seed) {}
  virtual ~Job() = default;
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  // One operation, whole. False when the mount is gone.
  virtual bool Step() = 0;
  // After it was mounted anew, by one process. What is found is the model from here on.
  virtual void Check(bool killed) = 0;

 protected:
  struct Opened {
    Opened(const std::string& path, int flags) : fd(open(path.c_str(), flags | O_CLOEXEC, 0644)) {}
    ~Opened() {
      if (fd >= 0) close(fd);
    }
    int fd;
  };

  size_t Pick(size_t below) { return random_() % below; }
  // A call failed. True where that is because the mount is gone; else it does not return.
  bool Gone(const std::string& what);
  // Whole, or false with errno. A kill may cut a write short; then the next one says what happened.
  static bool WriteWhole(int fd, const void* bytes, size_t size, size_t from);
  // Up to the end of the file, or -1 with errno. A kill may cut a read short as well.
  static ssize_t ReadWhole(int fd, void* bytes, size_t size, size_t from);

  const std::string dir_;

 private:
  std::mt19937_64 random_;
};

// Files of a few blocks, byte for byte: writes, mappings, holes, cuts, replacement, unlinked files.
struct BytesModel {
  static constexpr int kFiles = 3;
  static constexpr size_t kSize = 64 << 10;

  struct File {
    bool there = false;    // under its name
    bool touched = false;  // its name was about to change when the mount was killed
    size_t size = 0;
    std::array<uint8_t, kSize> now{};
    std::array<std::bitset<256>, kSize> may{};  // what each byte may be after a kill
    size_t least = 0, most = 0;                 // and what the size may be
  };
  File files[kFiles];
};
std::unique_ptr<Job> NewBytesJob(const std::string& dir, BytesModel& model, uint64_t seed);

// One file of many blocks, block for block, each of which tells which write it is of: more than fits into the
// memory that the processes are given. Buffered, direct, mapped and synchronous.
struct BlocksModel {
  static constexpr size_t kBlock = 4096;
  static constexpr uint32_t kBlocks = 1 << 18;
  static constexpr size_t kLog = 256;

  struct Write {
    uint64_t number;  // 0: zeroes
    uint32_t first, end;
  };
  uint64_t number = 0;  // of the last write
  uint32_t size = 0, least = 0, most = 0;
  std::array<uint64_t, kBlocks> now{}, settled{};  // the number of the write that a block is of
  std::array<uint16_t, kBlocks> since{};           // the writes of the log that are behind `settled`
  size_t logged = 0;
  std::array<Write, kLog> log{};
};
std::unique_ptr<Job> NewBlocksJob(const std::string& dir, BlocksModel& model, uint64_t seed);

// A tree of names, beside a plain directory (`shadow`) where the same is done: both answer the same and are
// the same.
struct NamesModel {
  enum class Kind {
    kPut,
    kMakeDirectory,
    kRemoveDirectory,
    kUnlink,
    kRename,
    kLink,
    kSymlink,
    kMode,
    kAttribute
  };
  struct Operation {
    Kind kind = Kind::kPut;
    char from[1000] = {}, to[1000] = {};
    unsigned number = 0;
  };
  bool pending = false;  // `last` may be done on the store and is not done in the shadow
  Operation last;
};
std::unique_ptr<Job> NewNamesJob(const std::string& dir, const std::string& shadow, NamesModel& model,
                                 uint64_t seed);

// Numbers that all processes count up, each under a lock of its kind: shared by all.
struct CountersModel {
  static constexpr int kFiles = 2;
  std::array<std::atomic<uint64_t>, kFiles> value{}, synced{};
};
std::unique_ptr<Job> NewCountersJob(const std::string& dir, CountersModel& model, uint64_t seed);

}  // namespace keyhold::testing
