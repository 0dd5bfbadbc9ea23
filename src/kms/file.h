// Small secret files, read and made through the disk seam.
#pragma once

#include <string>

#include "base/posix.h"
#include "base/status.h"
#include "crypto/secret.h"

namespace keyhold::kms {

// Closes a descriptor when it goes. A failed close of a file that was only read means nothing.
class Descriptor {
 public:
  Descriptor(Posix& posix, int fd) : posix_(posix), fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) posix_.Close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  Posix& posix_;
  const int fd_;
};

// The whole of `path`, at most `max_size` bytes; kIo (ErrnoOf) when it cannot be read, kInvalidArgument when
// it is longer.
StatusOr<crypto::SecretBytes> ReadSecretFile(Posix& posix, const std::string& path, size_t max_size);

// Makes `path` (mode 0600) with `content`: it appears whole and durable, or not at all. kAlreadyExists when
// there is one; that one is left alone. `scratch` is a name beside it that nobody else uses.
Status CreateSecretFile(Posix& posix, const std::string& path, const std::string& scratch,
                        crypto::Bytes content);

}  // namespace keyhold::kms
