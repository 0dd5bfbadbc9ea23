// The access log: one JSON object per line and request, appended, never rewritten.
//
// Fields: time (RFC 3339, UTC), service, principal, action, key, outcome ("OK" or the cloud's error type),
// message, encryption_context, request_id, source; fault, where one that was ordered hit the request. No
// plaintext, ciphertext or credential is ever in it. Safe to use from any thread; the lines of one process
// never mix.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "absl/time/time.h"
#include "base/status.h"

namespace keyhold::localcloud {

// Filled in as a request gets on; written when it is answered, whatever the outcome.
struct AccessEntry {
  absl::Time time;
  std::string service, principal, action, key, outcome, message, request_id, source, fault;
  std::map<std::string, std::string> encryption_context;
};

// A line of the log. kCorrupt: it is none.
StatusOr<AccessEntry> ParseEntry(const std::string& line);

class AccessLog {
 public:
  // Opens or makes `path` (0600).
  static StatusOr<std::unique_ptr<AccessLog>> Open(const std::string& path);
  ~AccessLog();

  // The line has reached the operating system when this returns OK.
  Status Append(const AccessEntry& entry);

 private:
  explicit AccessLog(int fd) : fd_(fd) {}
  const int fd_;
  std::mutex mutex_;  // one line at a time
};

}  // namespace keyhold::localcloud
