#include "localcloud/log_view.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "localcloud/audit_event.h"

namespace keyhold::localcloud {
namespace {

constexpr char kHeading[] =
    "TIME                 CLOUD CALLER                   ACTION                       KEY"
    "                                  OUTCOME";

bool Wanted(const AccessEntry& entry, const LogQuery& query) {
  return (query.cloud.empty() || query.cloud == CloudName(CloudOf(entry))) &&
         absl::StrContains(entry.key, query.key) && absl::StrContains(entry.principal, query.caller) &&
         !(query.failed && entry.outcome == "OK" && entry.fault.empty());
}

// What tells names of one kind apart is at their end.
std::string Tail(const std::string& name, size_t width) {
  const std::string last = name.substr(name.rfind('/') + 1);
  return last.size() <= width ? last : last.substr(last.size() - width);
}

std::string Row(const AccessEntry& entry) {
  return absl::StrFormat("%-20s %-5s %-24s %-28s %-36s %s",
                         absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", entry.time, absl::UTCTimeZone()),
                         CloudName(CloudOf(entry)), Tail(entry.principal, 24), Tail(entry.action, 28),
                         Tail(entry.key, 36),
                         entry.fault.empty() ? entry.outcome : entry.outcome + "; fault: " + entry.fault);
}

std::string Shown(const AccessEntry& entry, const std::string& line, LogShape shape) {
  if (shape == LogShape::kJson) return line;
  if (shape == LogShape::kTable) return Row(entry);
  return AuditEvent(entry).dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

// Tells when a file has changed.
class Watch {
 public:
  explicit Watch(const std::string& path) : fd_(inotify_init1(IN_CLOEXEC)) {
    if (fd_ >= 0) inotify_add_watch(fd_, path.c_str(), IN_MODIFY);
  }
  ~Watch() {
    if (fd_ >= 0) close(fd_);
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  Status Await() {
    alignas(inotify_event) std::array<char, 4096> events;
    const ssize_t size = read(fd_, events.data(), events.size());
    return size > 0 ? OkStatus() : ErrnoError(errno, "cannot watch the access log");
  }

 private:
  const int fd_;
};

}  // namespace

Status ShowAccessLog(const std::string& path, const LogQuery& query,
                     const std::function<bool(const std::string& line)>& put) {
  std::ifstream file(path);
  if (!file) return Error(Cause::kNotFound, "there is no access log at " + path);
  Watch watch(path);
  if (query.shape == LogShape::kTable && !put(kHeading)) return OkStatus();
  std::string line;
  for (;;) {
    std::string part;
    std::getline(file, part);
    line += part;
    if (!file.eof()) {
      const StatusOr<AccessEntry> entry = ParseEntry(line);
      if (entry.ok() && Wanted(*entry, query) && !put(Shown(*entry, line, query.shape))) return OkStatus();
      line.clear();
      continue;
    }
    if (!query.follow) return OkStatus();
    file.clear();
    KEYHOLD_RETURN_IF_ERROR(watch.Await());
  }
}

}  // namespace keyhold::localcloud
