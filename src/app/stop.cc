#include <httplib.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "app/host_dir.h"
#include "app/say.h"
#include "app/start.h"
#include "base/socket_address.h"

namespace keyhold::app {
namespace {

constexpr int kStopTimeoutMs = 150'000;

Status EndSupervisor(int pid) {
  const int process = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (process < 0) return errno == ESRCH ? OkStatus() : ErrnoError(errno, absl::StrCat("process ", pid));
  Say(absl::StrCat("stopping nodes, agent, server and local cloud (pid ", pid, ") ..."));
  const bool asked = syscall(SYS_pidfd_send_signal, process, SIGTERM, nullptr, 0) == 0;
  const int error = errno;
  pollfd ended = {process, POLLIN, 0};
  const bool gone = asked && poll(&ended, 1, kStopTimeoutMs) == 1;
  close(process);
  if (!asked) return ErrnoError(error, absl::StrCat("process ", pid));
  if (gone) return OkStatus();
  return Error(Cause::kUnavailable, absl::StrCat("pid ", pid, " did not end in 150 s; its logs tell why"));
}

httplib::Client ClientAt(const SocketAddress& address) {
  httplib::Client client(address.text());
  client.set_address_family(AF_UNIX);
  client.set_connection_timeout(5);
  client.set_read_timeout(90);
  return client;
}

// True when a node answered there, was told to stop, and has.
bool StopNode(const std::string& run_dir) {
  const auto address = SocketAddress::Of(run_dir + "/control.sock");
  if (!address.ok()) return false;
  httplib::Client client = ClientAt(*address);
  const auto answer = client.Post("/stop", "{}", "application/json");
  const bool stops = answer && answer->status == 200;
  // Each answer comes with the next change of its status, and none once it has ended.
  for (uint64_t version = 0; stops;) {
    const auto status = client.Get(absl::StrCat("/status?after=", version).c_str());
    const auto body = status ? nlohmann::json::parse(status->body, nullptr, false) : nlohmann::json();
    if (!body.is_object() || !body.contains("version") || !body["version"].is_number_unsigned()) break;
    version = body["version"].get<uint64_t>();
  }
  return stops;
}

// Nodes of an agent that was killed go on without it.
int StopLeftNodes(const std::string& dir) {
  int stopped = 0;
  std::error_code ignored;
  for (const auto& node : std::filesystem::directory_iterator(dir + "/nodes", ignored)) {
    if (StopNode(node.path().string() + "/run")) ++stopped;
  }
  return stopped;
}

}  // namespace

Status RunStop(const std::string& dir) {
  KEYHOLD_ASSIGN_OR_RETURN(const std::optional<int> holder, HostDir::Holder(dir));
  if (holder) KEYHOLD_RETURN_IF_ERROR(EndSupervisor(*holder));
  const int nodes = StopLeftNodes(dir);
  if (nodes > 0) Say(absl::StrCat("stopped ", nodes, " node(s) that ran without an agent"));
  Say(holder || nodes > 0 ? "stopped" : absl::StrCat("nothing runs on ", dir));
  return OkStatus();
}

}  // namespace keyhold::app
