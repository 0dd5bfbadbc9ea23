#include "store/directory.h"

#include <dirent.h>

#include <vector>

namespace keyhold::store {

Status EachEntry(Posix& posix, int fd,
                 const std::function<bool(std::string_view entry, ino_t number, unsigned char type)>& each) {
  // A descriptor of its own: the position of `fd` is shared with whoever else reads it.
  const int own = posix.OpenAt(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (own < 0) return ErrnoError(-own, "opening a directory");
  std::vector<char> buffer(64 << 10);
  Status status;
  bool more = true;
  while (more) {
    const ssize_t size = posix.GetDents(own, buffer.data(), buffer.size());
    if (size < 0) status = ErrnoError(static_cast<int>(-size), "reading a directory");
    if (size <= 0) break;
    for (ssize_t at = 0; at < size && more;) {
      const auto* entry = reinterpret_cast<const dirent64*>(buffer.data() + at);
      at += entry->d_reclen;
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") more = each(name, entry->d_ino, entry->d_type);
    }
  }
  if (const int result = posix.Close(own); result != 0 && status.ok())
    return ErrnoError(-result, "closing a directory");
  return status;
}

StatusOr<bool> IsEmptyDirectory(Posix& posix, int fd) {
  bool empty = true;
  KEYHOLD_RETURN_IF_ERROR(
      EachEntry(posix, fd, [&](std::string_view, ino_t, unsigned char) { return empty = false; }));
  return empty;
}

}  // namespace keyhold::store
