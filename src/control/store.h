// The control plane's memory: one SQLite file, one transaction per change.
//
// WAL with synchronous=FULL: what Write() acknowledged survives kill -9 and power loss. The file is held
// exclusively by one process. SQL is plain and goes through SOCI, so that PostgreSQL can stand in its place;
// docs/formats/server-database.md has the schema.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/status.h"

namespace keyhold::control {

inline constexpr int kSchemaVersion = 4;

struct Tables;  // tables.h: what a transaction may do

// Safe to use from any thread; transactions run one after another.
class Store {
 public:
  // Opens the file `path`, or makes it (0600). kFailedPrecondition: another process has it, or it is of a
  // newer version; kCorrupt: it is no database of ours; kIo, kResourceExhausted: the disk. Changes nothing
  // when it fails.
  static StatusOr<std::unique_ptr<Store>> Open(const std::string& path);
  ~Store();

  // Runs `change` in a transaction. It is on the disk when OK comes back; when `change` or the commit fails,
  // nothing has changed and that status is returned. `change` must not call the Store.
  Status Write(const std::function<Status(Tables&)>& change);

  // The same for reading: a consistent view, rolled back at the end.
  Status Read(const std::function<Status(Tables&)>& look);

 private:
  struct State;
  explicit Store(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace keyhold::control
