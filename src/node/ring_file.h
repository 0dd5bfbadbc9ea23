// Notices that a node's key ring was replaced by somebody else: by `keyhold store recover`, or put back.
#pragma once

#include <cstdint>
#include <string>

namespace keyhold::node {

// For one thread.
class RingFile {
 public:
  explicit RingFile(const std::string& node_dir);

  // The file of now is the one that is known.
  void Look() { known_ = Now(); }
  // Whether another one is there than the one known, which is known from now on.
  bool Replaced();

 private:
  struct Stamp {
    uint64_t inode = 0;      // 0: there is none
    int64_t changed_at = 0;  // nanoseconds
    bool operator==(const Stamp&) const = default;
  };
  Stamp Now() const;

  const std::string path_;
  Stamp known_;
};

}  // namespace keyhold::node
