// The local cloud's state: one SQLite database, written by one process, one transaction per change.
//
// A committed transaction is on the disk (write-ahead log, synchronous=FULL): kill -9 or a power cut loses
// none. Key material and secrets in it are sealed (vault.h). Safe to use from any thread; transactions are
// run one after the other.
#pragma once

#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "base/status.h"

namespace soci {
class session;
}

namespace keyhold::localcloud {

// The format of the tables. A database of an older one is brought up when it is opened; of a newer one,
// refused.
inline constexpr int kDatabaseVersion = 3;

class Database {
 public:
  // Opens `path`, or makes it (0600). kCorrupt: not a database of ours, damaged, or of a newer version; the
  // message says which, and nothing was changed.
  static StatusOr<std::unique_ptr<Database>> Open(const std::string& path);
  ~Database();

  // Runs `work` in a transaction: committed when it returns OK, else rolled back and its status returned.
  // kIo (kResourceExhausted when the disk is full) where SQLite refuses; nothing was changed then.
  Status Transact(absl::FunctionRef<Status(soci::session&)> work);

 private:
  class Impl;
  explicit Database(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace keyhold::localcloud
