#include "localcloud/access_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

namespace keyhold::localcloud {

StatusOr<std::unique_ptr<AccessLog>> AccessLog::Open(const std::string& path) {
  int fd = open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return ErrnoError(errno, "cannot open " + path);
  return std::unique_ptr<AccessLog>(new AccessLog(fd));
}

AccessLog::~AccessLog() { close(fd_); }

Status AccessLog::Append(const AccessEntry& entry) {
  nlohmann::ordered_json line = {
      {"time", absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", entry.time, absl::UTCTimeZone())},
      {"service", entry.service},
      {"principal", entry.principal},
      {"action", entry.action},
      {"key", entry.key},
      {"outcome", entry.outcome},
      {"message", entry.message},
      {"encryption_context", entry.encryption_context},
      {"request_id", entry.request_id},
      {"source", entry.source}};
  std::string text = line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  std::lock_guard lock(mutex_);
  ssize_t written = write(fd_, text.data(), text.size());
  if (written < 0) return ErrnoError(errno, "cannot write the access log");
  if (static_cast<size_t>(written) < text.size()) return ErrnoError(ENOSPC, "cannot write the access log");
  return OkStatus();
}

}  // namespace keyhold::localcloud
