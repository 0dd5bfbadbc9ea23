// A directory in memory for fuzzers whose code under test needs one, removed with all in it at the end.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace keyhold::testing {

class FuzzDir {
 public:
  FuzzDir() {
    char path[] = "/dev/shm/keyhold-fuzz-XXXXXX";
    if (mkdtemp(path) == nullptr) std::abort();
    path_ = path;
  }
  ~FuzzDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  FuzzDir(const FuzzDir&) = delete;
  FuzzDir& operator=(const FuzzDir&) = delete;

  std::string File(const std::string& name) const { return path_ + "/" + name; }
  // A file of the name `to` with what is in `from`.
  void Copy(const std::string& from, const std::string& to) const {
    std::filesystem::copy_file(File(from), File(to), std::filesystem::copy_options::overwrite_existing);
  }

 private:
  std::string path_;
};

}  // namespace keyhold::testing
