// A Posix that hands every call on; fault wrappers override what they need.
#pragma once

#include "base/posix.h"

namespace keyhold::testing {

class ForwardingPosix : public Posix {
 public:
  explicit ForwardingPosix(Posix& next = SystemPosix()) : next_(next) {}

  int OpenAt(int d, const char* p, int f, mode_t m) override { return next_.OpenAt(d, p, f, m); }
  int Close(int fd) override { return next_.Close(fd); }
  ssize_t PRead(int fd, void* b, size_t n, off_t o) override { return next_.PRead(fd, b, n, o); }
  ssize_t PWrite(int fd, const void* b, size_t n, off_t o, int f) override {
    return next_.PWrite(fd, b, n, o, f);
  }
  int FSync(int fd) override { return next_.FSync(fd); }
  int FDataSync(int fd) override { return next_.FDataSync(fd); }
  int SyncFs(int fd) override { return next_.SyncFs(fd); }
  int FTruncate(int fd, off_t n) override { return next_.FTruncate(fd, n); }
  int FAllocate(int fd, int m, off_t o, off_t n) override { return next_.FAllocate(fd, m, o, n); }
  off_t LSeek(int fd, off_t o, int w) override { return next_.LSeek(fd, o, w); }
  int FAdvise(int fd, off_t o, off_t n, int a) override { return next_.FAdvise(fd, o, n, a); }
  int FStatAt(int d, const char* p, struct stat* s, int f) override { return next_.FStatAt(d, p, s, f); }
  int StatVFs(int fd, struct statvfs* s) override { return next_.StatVFs(fd, s); }
  int FChMod(int fd, mode_t m) override { return next_.FChMod(fd, m); }
  int FChOwnAt(int d, const char* p, uid_t u, gid_t g, int f) override {
    return next_.FChOwnAt(d, p, u, g, f);
  }
  int UTimeNsAt(int d, const char* p, const struct timespec t[2], int f) override {
    return next_.UTimeNsAt(d, p, t, f);
  }
  int MkDirAt(int d, const char* p, mode_t m) override { return next_.MkDirAt(d, p, m); }
  int MkNodAt(int d, const char* p, mode_t m, dev_t v) override { return next_.MkNodAt(d, p, m, v); }
  int UnlinkAt(int d, const char* p, int f) override { return next_.UnlinkAt(d, p, f); }
  int RenameAt2(int d, const char* p, int e, const char* q, unsigned f) override {
    return next_.RenameAt2(d, p, e, q, f);
  }
  int LinkAt(int d, const char* p, int e, const char* q, int f) override {
    return next_.LinkAt(d, p, e, q, f);
  }
  int SymlinkAt(const char* t, int d, const char* p) override { return next_.SymlinkAt(t, d, p); }
  ssize_t ReadLinkAt(int d, const char* p, char* b, size_t n) override {
    return next_.ReadLinkAt(d, p, b, n);
  }
  ssize_t GetDents(int fd, void* b, size_t n) override { return next_.GetDents(fd, b, n); }
  ssize_t FGetXAttr(int fd, const char* a, void* v, size_t n) override {
    return next_.FGetXAttr(fd, a, v, n);
  }
  int FSetXAttr(int fd, const char* a, const void* v, size_t n, int f) override {
    return next_.FSetXAttr(fd, a, v, n, f);
  }
  ssize_t FListXAttr(int fd, char* b, size_t n) override { return next_.FListXAttr(fd, b, n); }
  int FRemoveXAttr(int fd, const char* a) override { return next_.FRemoveXAttr(fd, a); }
  int NameToHandleAt(int d, const char* p, struct file_handle* h, int* m, int f) override {
    return next_.NameToHandleAt(d, p, h, m, f);
  }
  int OpenByHandleAt(int m, struct file_handle* h, int f) override { return next_.OpenByHandleAt(m, h, f); }

 private:
  Posix& next_;
};

}  // namespace keyhold::testing
