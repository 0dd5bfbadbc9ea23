#include "node/ring_file.h"

#include <sys/stat.h>

#include <utility>

#include "absl/time/time.h"
#include "keyring/keyring.h"

namespace keyhold::node {

RingFile::RingFile(const std::string& node_dir) : path_(node_dir + "/store/" + keyring::kFileName) {}

bool RingFile::Replaced() {
  const Stamp now = Now();
  return now != std::exchange(known_, now);
}

RingFile::Stamp RingFile::Now() const {
  struct stat found;
  if (stat(path_.c_str(), &found) != 0) return {};
  return {found.st_ino, absl::ToUnixNanos(absl::TimeFromTimespec(found.st_ctim))};
}

}  // namespace keyhold::node
