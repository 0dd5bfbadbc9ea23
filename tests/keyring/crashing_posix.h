// A disk that breaks at one call, and then forgets what was not synced: of files their content, of
// directories their renames, each as a file system may or may not.
#pragma once

#include <cerrno>
#include <map>
#include <optional>
#include <string>

#include "tests/base/forwarding_posix.h"
#include "tests/base/temp_dir.h"

namespace keyhold::testing {

class CrashingPosix final : public ForwardingPosix {
 public:
  // Call number `crash_at`, from 0, and all after it fail and do nothing. `dir` is the directory that is
  // used.
  CrashingPosix(const TempDir& dir, int crash_at) : dir_(dir), crash_at_(crash_at) {}

  bool crashed() const { return crashed_; }

  // What the disk holds after the crash.
  void LoseUnsynced(bool renames_too) {
    for (const auto& [fd, name] : unsynced_) WriteFile(dir_.File(name), "");
    if (!renames_too || !unsynced_rename_.has_value()) return;
    if (unsynced_rename_->second.empty()) {
      std::filesystem::remove(dir_.File(unsynced_rename_->first));
    } else {
      WriteFile(dir_.File(unsynced_rename_->first), unsynced_rename_->second);
    }
  }

  int OpenAt(int d, const char* p, int f, mode_t m) override {
    if (Broken()) return -EIO;
    const int fd = ForwardingPosix::OpenAt(d, p, f, m);
    if (fd >= 0 && (f & O_CREAT) != 0) unsynced_[fd] = p;
    return fd;
  }
  int Close(int fd) override {
    const int result = ForwardingPosix::Close(fd);
    return Broken() ? -EIO : result;
  }
  ssize_t PRead(int fd, void* b, size_t n, off_t o) override {
    return Broken() ? -EIO : ForwardingPosix::PRead(fd, b, n, o);
  }
  ssize_t PWrite(int fd, const void* b, size_t n, off_t o, int f) override {
    // Torn: half of what was asked reaches the file, and the caller has to go on.
    return Broken() ? -EIO : ForwardingPosix::PWrite(fd, b, (n + 1) / 2, o, f);
  }
  int FSync(int fd) override {
    if (Broken()) return -EIO;
    unsynced_.erase(fd);
    if (fd == dir_.fd()) unsynced_rename_.reset();
    return ForwardingPosix::FSync(fd);
  }
  int FStatAt(int d, const char* p, struct stat* s, int f) override {
    return Broken() ? -EIO : ForwardingPosix::FStatAt(d, p, s, f);
  }
  int UnlinkAt(int d, const char* p, int f) override {
    return Broken() ? -EIO : ForwardingPosix::UnlinkAt(d, p, f);
  }
  int RenameAt2(int d, const char* p, int e, const char* q, unsigned f) override {
    if (Broken()) return -EIO;
    const std::string before = ReadFile(dir_.File(q));
    const int result = ForwardingPosix::RenameAt2(d, p, e, q, f);
    if (result == 0) unsynced_rename_ = {q, before};
    for (auto& [fd, name] : unsynced_) {
      if (name == p) name = q;
    }
    return result;
  }

 private:
  bool Broken() {
    crashed_ = crashed_ || calls_++ == crash_at_;
    return crashed_;
  }

  const TempDir& dir_;
  const int crash_at_;
  int calls_ = 0;
  bool crashed_ = false;
  std::map<int, std::string> unsynced_;                                 // open file: its name
  std::optional<std::pair<std::string, std::string>> unsynced_rename_;  // name: what it was before
};

}  // namespace keyhold::testing
