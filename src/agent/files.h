// The few file operations of the agent.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace keyhold::agent {

// At most 1 MiB. kNotFound, kIo, kCorrupt (larger).
StatusOr<std::string> ReadFile(const std::string& path);

// The old or the new content is at `path` after a crash at any instant, mode 0600.
Status WriteFileAtomically(const std::string& path, std::string_view content);

// mkdir, mode 0700; OK when it is there.
Status EnsureDirectory(const std::string& path);

// The names in the directory `path`, sorted.
StatusOr<std::vector<std::string>> ListDirectory(const std::string& path);

// The directory `path` with all in it: the files `first`, relative to it and in this order, durably before
// anything else. Does not follow symbolic links. OK when it is not there.
Status RemoveTree(const std::string& path, const std::vector<std::string>& first);

}  // namespace keyhold::agent
