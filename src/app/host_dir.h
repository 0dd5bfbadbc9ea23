// DIR of `keyhold start`: docs/architecture.md, "A host's directory". One process at a time has it.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/status.h"

namespace keyhold::app {

// The format that DIR/VERSION names; another one is refused.
inline constexpr char kDirVersion[] = "keyhold 1";

class HostDir {
 public:
  // Makes DIR (0700) with VERSION and its folders where they are missing, and takes the lock for this
  // process. kFailedPrecondition: another process has it (its pid is in the message), or DIR is not
  // Keyhold's, or a newer version's, or DIR or a folder of it belongs to another user or may be written to
  // by others; nothing is changed then.
  static StatusOr<HostDir> Open(const std::string& dir);

  // The process that has the lock of DIR; nothing where none does. kNotFound: there is no DIR of Keyhold's.
  static StatusOr<std::optional<int>> Holder(const std::string& dir);

  HostDir(HostDir&& other) noexcept;
  HostDir& operator=(HostDir&&) = delete;
  ~HostDir();  // gives the lock back

  const std::string& path() const { return path_; }  // absolute
  std::string Path(const std::string& name) const { return path_ + "/" + name; }

  // The addresses that services listened on last, by service; empty at first.
  StatusOr<std::map<std::string, std::string>> Addresses() const;
  Status SetAddresses(const std::map<std::string, std::string>& addresses) const;

 private:
  HostDir(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}
  std::string path_;
  int lock_;
};

// The whole of a file of at most 1 MiB. kNotFound, kIo.
StatusOr<std::string> ReadFile(const std::string& path);

// Replaces `path` as a whole, with `mode`: the old content or the new one is there at any instant.
Status WriteFile(const std::string& path, const std::string& content, unsigned mode);

}  // namespace keyhold::app
