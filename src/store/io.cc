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

}  // namespace keyhold::store
