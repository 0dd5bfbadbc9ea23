#include "store/io.h"

#include <cerrno>

namespace keyhold::store {

StatusOr<size_t> ReadFully(Posix& posix, int fd, crypto::MutableBytes out, uint64_t offset) {
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t n =
        posix.PRead(fd, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (n < 0) return ErrnoError(static_cast<int>(-n), "reading a backing file");
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  return done;
}

Status WriteFully(Posix& posix, int fd, crypto::Bytes in, uint64_t offset, int rwf_flags) {
  size_t done = 0;
  while (done < in.size()) {
    const ssize_t n =
        posix.PWrite(fd, in.data() + done, in.size() - done, static_cast<off_t>(offset + done), rwf_flags);
    if (n < 0) return ErrnoError(static_cast<int>(-n), "writing a backing file");
    if (n == 0) return ErrnoError(EIO, "writing a backing file: nothing was taken");
    done += static_cast<size_t>(n);
  }
  return OkStatus();
}

Status WriteKeepingTimes(Posix& posix, int fd, crypto::Bytes in, uint64_t offset) {
  struct stat st;
  if (const int result = posix.FStatAt(fd, "", &st, AT_EMPTY_PATH); result != 0) {
    return ErrnoError(-result, "reading a backing file's times");
  }
  const Status written = WriteFully(posix, fd, in, offset, 0);
  const timespec times[2] = {{0, UTIME_OMIT}, st.st_mtim};
  const int kept = posix.UTimeNsAt(fd, "", times, AT_EMPTY_PATH);
  if (!written.ok() || kept == 0) return written;
  return ErrnoError(-kept, "keeping a backing file's times");
}

}  // namespace keyhold::store
