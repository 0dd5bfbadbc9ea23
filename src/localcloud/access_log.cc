#include "localcloud/access_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

namespace keyhold::localcloud {
namespace {

// The member as text; empty where it is none.
std::string Text(const nlohmann::json& line, const char* name) {
  const auto member = line.find(name);
  return member != line.end() && member->is_string() ? member->get<std::string>() : "";
}

}  // namespace

StatusOr<AccessEntry> ParseEntry(const std::string& line) {
  const auto json = nlohmann::json::parse(line, nullptr, false);
  AccessEntry entry;
  if (!json.is_object() || !absl::ParseTime(absl::RFC3339_full, Text(json, "time"), &entry.time, nullptr))
    return Error(Cause::kCorrupt, "not an entry of an access log");
  entry.service = Text(json, "service");
  entry.principal = Text(json, "principal");
  entry.action = Text(json, "action");
  entry.key = Text(json, "key");
  entry.outcome = Text(json, "outcome");
  entry.message = Text(json, "message");
  entry.request_id = Text(json, "request_id");
  entry.source = Text(json, "source");
  entry.fault = Text(json, "fault");
  const auto context = json.find("encryption_context");
  if (context != json.end() && context->is_object()) {
    for (const auto& [name, value] : context->items())
      if (value.is_string()) entry.encryption_context[name] = value.get<std::string>();
  }
  return entry;
}

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
  if (!entry.fault.empty()) line["fault"] = entry.fault;
  std::string text = line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  std::lock_guard lock(mutex_);
  ssize_t written = write(fd_, text.data(), text.size());
  if (written < 0) return ErrnoError(errno, "cannot write the access log");
  if (static_cast<size_t>(written) < text.size()) return ErrnoError(ENOSPC, "cannot write the access log");
  return OkStatus();
}

}  // namespace keyhold::localcloud
