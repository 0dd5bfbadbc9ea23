// What the fuzzers of whole servers share: a directory in memory, and values that must be there.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/status.h"
#include "tests/base/temp_dir.h"

namespace keyhold::testing {

class FuzzDir : public TempDir {
 public:
  FuzzDir() : TempDir("/dev/shm") {}

  // A file of the name `to` with what is in `from`.
  void Copy(const std::string& from, const std::string& to) const {
    std::filesystem::copy_file(File(from), File(to), std::filesystem::copy_options::overwrite_existing);
  }
};

template <typename T>
T Must(StatusOr<T> value) {
  if (!value.ok()) std::abort();
  return *std::move(value);
}
inline void Must(const Status& status) {
  if (!status.ok()) std::abort();
}

}  // namespace keyhold::testing
