// The access log for its readers: a table for people, lines of JSON for tools, and each cloud's own shape.
//
// Used by the command `keyhold localcloud log`, beside a local cloud that runs or after it.
#pragma once

#include <functional>
#include <string>

#include "base/status.h"

namespace keyhold::localcloud {

enum class LogShape { kTable, kJson, kCloud };

struct LogQuery {
  std::string cloud;    // "AWS", "GCP", "AZURE"; empty: all
  std::string key;      // a part of the key's name; empty: all
  std::string caller;   // a part of the principal's name; empty: all
  bool failed = false;  // only what was refused or failed
  LogShape shape = LogShape::kTable;
  bool follow = false;  // go on with what is appended, until `put` returns false
};

// Calls `put` with one line at a time, without its newline, oldest first; it returns whether to go on. A line
// that is no entry (a disk that was full cut it) is passed over. kNotFound: there is no log at `path`.
Status ShowAccessLog(const std::string& path, const LogQuery& query,
                     const std::function<bool(const std::string& line)>& put);

}  // namespace keyhold::localcloud
