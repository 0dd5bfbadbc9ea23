// The local cloud's directory: held by one process at a time, its files replaced as a whole.
//
// Used by localcloud only. Objects are not shared between threads.
#pragma once

#include <string>

#include "base/status.h"
#include "crypto/random.h"

namespace keyhold::localcloud {

class Directory {
 public:
  // Makes `path` (0700) when it is not there, sets its mode, and locks it (flock on `path`/lock) until this
  // object goes. kFailedPrecondition when another process holds it.
  static StatusOr<Directory> Open(const std::string& path);

  Directory(Directory&& other) noexcept;
  Directory& operator=(Directory&&) = delete;
  ~Directory();

  // The path of a file in it.
  std::string File(std::string_view name) const;

  // The whole content of `name`. kNotFound where there is none; kCorrupt beyond 1 MiB.
  StatusOr<std::string> Read(std::string_view name) const;

  // Replaces `name` atomically: written, synced, renamed, the directory synced. The old content stays when it
  // fails. `mode` is set whatever the umask.
  Status Write(std::string_view name, std::string_view content, unsigned mode) const;

  // Makes the directory `name` in it (0700), or sets its mode.
  Status MakeDirectory(std::string_view name) const;

  // The 32 byte key in `name` (0600), made from `random` when it is not there. kCorrupt when it has another
  // size: a key is never replaced.
  StatusOr<crypto::SecretBytes> ReadOrMakeKey(std::string_view name, crypto::Random& random) const;

 private:
  Directory(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}
  std::string path_;
  int lock_;
};

}  // namespace keyhold::localcloud
