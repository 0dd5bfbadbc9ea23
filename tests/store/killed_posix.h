// Lets `calls` changes of the disk through, then none: as a process that is killed.
#pragma once

#include <fcntl.h>

#include <atomic>
#include <cerrno>
#include <climits>

#include "tests/base/forwarding_posix.h"

namespace keyhold::testing {

class KilledPosix final : public ForwardingPosix {
 public:
  std::atomic<int> calls{INT_MAX};

  int OpenAt(int d, const char* p, int f, mode_t m) override {
    return (f & (O_CREAT | O_TRUNC)) != 0 && Dead() ? -EIO : ForwardingPosix::OpenAt(d, p, f, m);
  }
  ssize_t PWrite(int fd, const void* b, size_t n, off_t o, int f) override {
    return Dead() ? -EIO : ForwardingPosix::PWrite(fd, b, n, o, f);
  }
  int FSync(int) override { return calls <= 0 ? -EIO : 0; }
  int FDataSync(int) override { return calls <= 0 ? -EIO : 0; }
  int SyncFs(int) override { return calls <= 0 ? -EIO : 0; }
  int FTruncate(int fd, off_t n) override { return Dead() ? -EIO : ForwardingPosix::FTruncate(fd, n); }
  int FAllocate(int fd, int m, off_t o, off_t n) override {
    return Dead() ? -EIO : ForwardingPosix::FAllocate(fd, m, o, n);
  }
  int FChMod(int fd, mode_t m) override { return Dead() ? -EIO : ForwardingPosix::FChMod(fd, m); }
  int FChOwnAt(int d, const char* p, uid_t u, gid_t g, int f) override {
    return Dead() ? -EIO : ForwardingPosix::FChOwnAt(d, p, u, g, f);
  }
  int UTimeNsAt(int d, const char* p, const struct timespec t[2], int f) override {
    return Dead() ? -EIO : ForwardingPosix::UTimeNsAt(d, p, t, f);
  }
  int FSetXAttr(int fd, const char* a, const void* v, size_t n, int f) override {
    return Dead() ? -EIO : ForwardingPosix::FSetXAttr(fd, a, v, n, f);
  }
  int FRemoveXAttr(int fd, const char* a) override {
    return Dead() ? -EIO : ForwardingPosix::FRemoveXAttr(fd, a);
  }
  int RenameAt2(int d, const char* p, int e, const char* q, unsigned f) override {
    return Dead() ? -EIO : ForwardingPosix::RenameAt2(d, p, e, q, f);
  }
  int UnlinkAt(int d, const char* p, int f) override {
    return Dead() ? -EIO : ForwardingPosix::UnlinkAt(d, p, f);
  }
  int LinkAt(int d, const char* p, int e, const char* q, int f) override {
    return Dead() ? -EIO : ForwardingPosix::LinkAt(d, p, e, q, f);
  }
  int SymlinkAt(const char* t, int d, const char* p) override {
    return Dead() ? -EIO : ForwardingPosix::SymlinkAt(t, d, p);
  }
  int MkDirAt(int d, const char* p, mode_t m) override {
    return Dead() ? -EIO : ForwardingPosix::MkDirAt(d, p, m);
  }
  int MkNodAt(int d, const char* p, mode_t m, dev_t v) override {
    return Dead() ? -EIO : ForwardingPosix::MkNodAt(d, p, m, v);
  }

 private:
  bool Dead() { return calls-- <= 0; }
};

}  // namespace keyhold::testing
