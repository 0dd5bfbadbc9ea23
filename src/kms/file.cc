#include "kms/file.h"

#include <cerrno>

#include "kms/text.h"

namespace keyhold::kms {
namespace {

Status WriteAll(Posix& posix, int fd, crypto::Bytes content, const std::string& path) {
  for (size_t done = 0; done < content.size();) {
    const ssize_t moved =
        posix.PWrite(fd, content.data() + done, content.size() - done, static_cast<off_t>(done), 0);
    if (moved <= 0)
      return ErrnoError(moved == 0 ? EIO : static_cast<int>(-moved), StrCat({"writing ", path}));
    done += static_cast<size_t>(moved);
  }
  if (const int error = posix.FSync(fd); error != 0) return ErrnoError(-error, StrCat({"syncing ", path}));
  return OkStatus();
}

Status WriteNew(Posix& posix, const std::string& path, crypto::Bytes content) {
  const Descriptor file(posix, posix.OpenAt(AT_FDCWD, path.c_str(),
                                            O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (file.get() < 0) return ErrnoError(-file.get(), StrCat({"creating ", path}));
  return WriteAll(posix, file.get(), content, path);
}

Status SyncParent(Posix& posix, const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string parent = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const Descriptor dir(posix, posix.OpenAt(AT_FDCWD, parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0));
  if (dir.get() < 0) return ErrnoError(-dir.get(), StrCat({"opening ", parent}));
  if (const int error = posix.FSync(dir.get()); error != 0) {
    return ErrnoError(-error, StrCat({"syncing ", parent}));
  }
  return OkStatus();
}

}  // namespace

StatusOr<crypto::SecretBytes> ReadSecretFile(Posix& posix, const std::string& path, size_t max_size) {
  const Descriptor file(posix, posix.OpenAt(AT_FDCWD, path.c_str(), O_RDONLY | O_CLOEXEC, 0));
  if (file.get() < 0) return ErrnoError(-file.get(), StrCat({"opening ", path}));
  crypto::SecretBytes content(max_size + 1);
  size_t size = 0;
  while (size < content.size()) {
    const ssize_t moved = posix.PRead(file.get(), content.ExposeMutable().data() + size,
                                      content.size() - size, static_cast<off_t>(size));
    if (moved < 0) return ErrnoError(static_cast<int>(-moved), StrCat({"reading ", path}));
    if (moved == 0) return crypto::SecretBytes::CopyOf(content.Expose().first(size));
    size += static_cast<size_t>(moved);
  }
  return Error(Cause::kInvalidArgument, StrCat({path, " is too long"}));
}

Status CreateSecretFile(Posix& posix, const std::string& path, const std::string& scratch,
                        crypto::Bytes content) {
  Status status = WriteNew(posix, scratch, content);
  if (status.ok()) {
    const int error = posix.RenameAt2(AT_FDCWD, scratch.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE);
    if (error == 0) return SyncParent(posix, path);
    status = error == -EEXIST ? Error(Cause::kAlreadyExists, StrCat({path, " exists already"}))
                              : ErrnoError(-error, StrCat({"renaming ", scratch, " to ", path}));
  }
  posix.UnlinkAt(AT_FDCWD, scratch.c_str(), 0);
  return status;
}

}  // namespace keyhold::kms
