#include "keyring/file.h"

#include <cerrno>
#include <cstdio>

#include "keyring/format.h"

namespace keyhold::keyring {
namespace {

constexpr size_t kReadSize = 8192;

Status Failed(ssize_t negative_errno, std::string_view what) {
  return ErrnoError(static_cast<int>(-negative_errno), what);
}

Status WriteScratch(Posix& posix, int fd, std::string_view content) {
  for (size_t done = 0; done < content.size();) {
    const ssize_t moved =
        posix.PWrite(fd, content.data() + done, content.size() - done, static_cast<off_t>(done), 0);
    if (moved <= 0) return Failed(moved == 0 ? -EIO : moved, "writing the key ring");
    done += static_cast<size_t>(moved);
  }
  if (const int error = posix.FSync(fd); error != 0) return Failed(error, "syncing the key ring");
  return OkStatus();
}

Status PrepareScratch(Posix& posix, int dir, std::string_view content) {
  if (const int error = posix.UnlinkAt(dir, kScratchName, 0); error != 0 && error != -ENOENT) {
    return Failed(error, "removing a leftover of the key ring");
  }
  const int fd = posix.OpenAt(dir, kScratchName, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                              S_IRUSR | S_IWUSR);
  if (fd < 0) return Failed(fd, "creating the key ring");
  Status status = WriteScratch(posix, fd, content);
  if (const int error = posix.Close(fd); error != 0 && status.ok()) {
    status = Failed(error, "closing the key ring");
  }
  return status;
}

}  // namespace

StatusOr<std::string> ReadRing(Posix& posix, int dir) {
  // No link is followed: a ring that stands elsewhere could be exchanged there without its directory's
  // knowledge.
  const int fd = posix.OpenAt(dir, kFileName, O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0);
  if (fd == -ENOENT) return Error(Cause::kNotFound, "the store has no key ring (file keyring)");
  if (fd < 0) return Failed(fd, "opening the key ring");
  std::string content;
  size_t size = 0;
  ssize_t moved = 1;
  while (moved > 0 && size <= kMaxFileSize) {
    content.resize(size + kReadSize);
    moved = posix.PRead(fd, content.data() + size, content.size() - size, static_cast<off_t>(size));
    if (moved > 0) size += static_cast<size_t>(moved);
  }
  posix.Close(fd);
  if (moved < 0) return Failed(moved, "reading the key ring");
  content.resize(size);
  return content;
}

Status WriteRing(Posix& posix, int dir, std::string_view content, Existing existing) {
  Status status = PrepareScratch(posix, dir, content);
  if (status.ok()) {
    const unsigned flags = existing == Existing::kRefuse ? RENAME_NOREPLACE : 0;
    const int error = posix.RenameAt2(dir, kScratchName, dir, kFileName, flags);
    if (error == -EEXIST) {
      status = Error(Cause::kAlreadyExists, "the store has a key ring already; open it instead");
    } else if (error != 0) {
      status = Failed(error, "replacing the key ring");
    }
  }
  if (!status.ok()) {
    posix.UnlinkAt(dir, kScratchName, 0);
    return status;
  }
  // Until this the rename may be undone by a power loss; after it, only by who writes to the disk.
  if (const int error = posix.FSync(dir); error != 0)
    return Failed(error, "syncing the key ring's directory");
  return OkStatus();
}

}  // namespace keyhold::keyring
