// One backing file in memory, whatever the descriptor: for fuzzers.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "tests/base/forwarding_posix.h"

namespace keyhold::testing {

class MemoryPosix final : public ForwardingPosix {
 public:
  ssize_t PRead(int, void* buffer, size_t size, off_t offset) override {
    const auto at = std::min(static_cast<size_t>(offset), content.size());
    size = std::min(size, content.size() - at);
    std::memcpy(buffer, content.data() + at, size);
    return static_cast<ssize_t>(size);
  }
  ssize_t PWrite(int, const void* buffer, size_t size, off_t offset, int) override {
    const auto at = static_cast<size_t>(offset);
    if (content.size() < at + size) content.resize(at + size);
    std::memcpy(content.data() + at, buffer, size);
    return static_cast<ssize_t>(size);
  }
  int FSync(int) override { return 0; }
  int FDataSync(int) override { return 0; }
  int SyncFs(int) override { return 0; }
  int FTruncate(int, off_t size) override {
    content.resize(static_cast<size_t>(size));
    return 0;
  }
  off_t LSeek(int, off_t offset, int) override {
    return static_cast<size_t>(offset) < content.size() ? offset : -ENXIO;
  }
  int FStatAt(int, const char*, struct stat* out, int) override {
    *out = {};
    out->st_mode = S_IFREG;
    out->st_size = static_cast<off_t>(content.size());
    return 0;
  }
  ssize_t FGetXAttr(int, const char*, void* value, size_t size) override {
    if (attribute.size() > size) return -ERANGE;
    std::memcpy(value, attribute.data(), attribute.size());
    return static_cast<ssize_t>(attribute.size());
  }
  int FSetXAttr(int, const char*, const void* value, size_t size, int) override {
    attribute.assign(static_cast<const char*>(value), size);
    return 0;
  }

  std::string content;
  std::string attribute;
};

}  // namespace keyhold::testing
