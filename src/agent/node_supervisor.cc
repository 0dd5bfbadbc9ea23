#include "agent/node_supervisor.h"

#include <poll.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "agent/files.h"
#include "agent/http_client.h"
#include "agent/process.h"

namespace keyhold::agent {
namespace {

using nlohmann::json;
using wire::DesiredNode;
using wire::NodeStatus;

constexpr absl::Duration kFirstBackoff = absl::Milliseconds(200);
constexpr absl::Duration kMaxBackoff = absl::Seconds(10);
constexpr absl::Duration kStable = absl::Seconds(30);  // a node that ran so long starts again at once
constexpr absl::Duration kSocketRetry = absl::Milliseconds(50);
constexpr absl::Duration kServerRetry = absl::Milliseconds(500);
constexpr absl::Duration kStopGrace = absl::Seconds(60);
constexpr absl::Duration kStatusPoll = absl::Seconds(35);  // the node answers after 25 s at the latest
constexpr absl::Duration kCheckTimeout = absl::Seconds(25);

uint16_t PortOf(const std::string& listen) {
  const size_t colon = listen.rfind(':');
  int port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(listen.substr(colon + 1), &port)) return 0;
  return port > 0 && port <= UINT16_MAX ? static_cast<uint16_t>(port) : 0;
}

class Supervisor final : public NodeSupervisor {
 public:
  Supervisor(const AgentOptions& options, Ports& ports, Reports& reports, const std::string& node_id)
      : options_(options),
        ports_(ports),
        reports_(reports),
        id_(node_id),
        dir_(options.dir + "/nodes/" + node_id),
        socket_(dir_ + "/run/control.sock"),
        wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        status_client_(HttpClient::ForSocket(socket_)) {
    Recall();
    converge_ = std::thread([this] { Converge(); });
    watch_ = std::thread([this] { Watch(); });
  }

  ~Supervisor() override {
    Supervisor::Stop(NodesFate::kLeaveRunning);
    close(wake_);
  }

  void Want(const DesiredNode& desired) override {
    const std::lock_guard lock(mutex_);
    wanted_ = desired;
    Wake();
  }

  void Remove() override {
    const std::lock_guard lock(mutex_);
    remove_ = true;
    Wake();
  }

  bool removed() const override { return removed_; }

  StatusOr<wire::CheckReport> Check(const wire::KeySpec& spec, const std::string& region) override {
    const auto client = HttpClient::ForSocket(socket_);
    json task = wire::ToJson(spec);
    task["region"] = region;
    KEYHOLD_ASSIGN_OR_RETURN(const json report,
                             client->Send({"POST", "/check", BodyOf(task), kCheckTimeout, ""}));
    return wire::CheckReportFromJson(report);
  }

  void Stop(NodesFate fate) override {
    {
      const std::lock_guard lock(mutex_);
      if (!stop_) fate_ = fate;
      stop_ = true;
      Wake();
    }
    if (converge_.joinable()) converge_.join();
    watch_stop_ = true;
    status_client_->Abort();
    changed_.notify_all();
    if (watch_.joinable()) watch_.join();
  }

 private:
  // --- what is wanted -------------------------------------------------------------------------------------

  struct Goal {
    std::optional<DesiredNode> desired;
    bool remove = false;
    bool stop = false;
  };

  Goal GoalNow() {
    const std::lock_guard lock(mutex_);
    return {wanted_, remove_, stop_};
  }

  void Wake() {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(wake_, &one, sizeof one);
    changed_.notify_all();
  }

  // Until the node's process ends, something else is wanted, or `timeout` passes.
  void Wait(absl::Duration timeout) {
    pollfd fds[] = {{wake_, POLLIN, 0}, {process_.pidfd(), POLLIN, 0}};
    const int64_t ms = timeout == absl::InfiniteDuration() ? -1 : absl::ToInt64Milliseconds(timeout);
    poll(fds, process_.running() ? 2 : 1, static_cast<int>(ms));
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t size = read(wake_, &count, sizeof count);
    if (process_.running() && (fds[1].revents & POLLIN) != 0) Ended();
  }

  // --- the converging thread ------------------------------------------------------------------------------

  void Converge() {
    if (auto found = Process::Find(PidPath()); found.ok()) {
      spdlog::info("node {}: found running, pid {}", id_, found->pid());
      process_ = std::move(*found);
      started_at_ = absl::Now();
    }
    while (true) {
      const Goal goal = GoalNow();
      if (goal.stop) break;
      const Status status = goal.remove ? RemoveNode() : KeepNode(goal);
      if (removed_) return;
      if (!status.ok()) {
        spdlog::warn("node {}: {}", id_, std::string(status.message()));
        Wait(NextBackoff());
      }
    }
    if (fate_ == NodesFate::kStop) StopNode();
  }

  // One step towards the goal, then a wait for the next occasion.
  Status KeepNode(const Goal& goal) {
    if (!goal.desired) {
      Wait(absl::InfiniteDuration());
      return OkStatus();
    }
    KEYHOLD_RETURN_IF_ERROR(WriteDesired(*goal.desired));
    if (!process_.running()) KEYHOLD_RETURN_IF_ERROR(StartNode());
    if (delivered_ == written_) {
      Wait(absl::InfiniteDuration());
      return OkStatus();
    }
    if (Deliver()) {
      delivered_ = written_;
      backoff_ = kFirstBackoff;
    } else if (process_.running()) {
      Wait(kSocketRetry);
    }
    return OkStatus();
  }

  Status WriteDesired(const DesiredNode& wanted) {
    DesiredNode desired = wanted;
    KEYHOLD_RETURN_IF_ERROR(EnsureDirectory(options_.dir + "/nodes"));
    KEYHOLD_RETURN_IF_ERROR(EnsureDirectory(dir_));
    if (port_ == 0) {
      KEYHOLD_ASSIGN_OR_RETURN(port_, ports_.Take());
    }
    const bool v6 = options_.sql_address.find(':') != std::string::npos;
    {
      // This agent may have heard of more than the server has, or had before it was put back itself.
      const std::lock_guard lock(mutex_);
      desired.min_key_ring_epoch = std::max(desired.min_key_ring_epoch, last_status_.key_ring_epoch);
      desired.min_store_generation = std::max(desired.min_store_generation, last_status_.store_generation);
    }
    desired.sql_listen = absl::StrCat(v6 ? "[" : "", options_.sql_address, v6 ? "]:" : ":", port_);
    std::string text = BodyOf(wire::ToJson(desired));
    if (text == written_) return OkStatus();
    KEYHOLD_RETURN_IF_ERROR(WriteFileAtomically(DesiredPath(), text));
    written_ = std::move(text);
    return OkStatus();
  }

  Status StartNode() {
    ports_.Reserve(port_);  // the node that was found running may have held it alone
    std::vector<std::string> command = options_.node_command;
    command.insert(command.end(), {"--dir", dir_});
    KEYHOLD_RETURN_IF_ERROR(EnsureDirectory(options_.dir + "/log"));
    KEYHOLD_ASSIGN_OR_RETURN(
        process_, Process::Spawn({std::move(command), options_.node_environment,
                                  absl::StrCat(options_.dir, "/log/node-", id_, ".log"), PidPath()}));
    started_at_ = absl::Now();
    // The node reads desired.json when it starts.
    delivered_ = written_;
    spdlog::info("node {}: started, pid {}", id_, process_.pid());
    changed_.notify_all();
    return OkStatus();
  }

  bool Deliver() {
    const auto client = HttpClient::ForSocket(socket_);
    return client->Send({"PUT", "/desired", written_, absl::Seconds(5), ""}).ok();
  }

  void Ended() {
    const std::string how = process_.Reap();
    spdlog::warn("node {}: {}", id_, how);
    if (absl::Now() - started_at_ > kStable) backoff_ = kFirstBackoff;
    ReportEnded(how);
    const Goal goal = GoalNow();
    if (!goal.stop && !goal.remove) Wait(NextBackoff());
  }

  absl::Duration NextBackoff() {
    const absl::Duration now = backoff_;
    backoff_ = std::min(2 * backoff_, kMaxBackoff);
    return now;
  }

  // The node itself can say no more: its last status, with what happened to it.
  void ReportEnded(const std::string& how) {
    NodeStatus status;
    {
      const std::lock_guard lock(mutex_);
      status = last_status_;
    }
    if (status.node_id.empty()) return;
    // A locked node stays one: the lock holds on without its process.
    if (status.state != wire::NodeState::kLocked) status.state = wire::NodeState::kStarting;
    status.failure = absl::StrCat("the node's process ", how, "; the agent starts it again");
    (void)reports_.PutStatus(status);
  }

  void StopNode() {
    if (!process_.running()) return;
    const auto client = HttpClient::ForSocket(socket_);
    if (!client->Send({"POST", "/stop", "{}", kStopGrace, ""}).ok()) process_.Signal(SIGTERM);
    const absl::Time deadline = absl::Now() + kStopGrace;
    pollfd fd{process_.pidfd(), POLLIN, 0};
    if (poll(&fd, 1, static_cast<int>(absl::ToInt64Milliseconds(deadline - absl::Now()))) == 0) {
      spdlog::error("node {}: does not stop; killed", id_);
      process_.Signal(SIGKILL);
      poll(&fd, 1, -1);
    }
    spdlog::info("node {}: {}", id_, process_.Reap());
  }

  // Without desired.json no agent starts the node again; without the key ring what is left of the store is
  // noise.
  Status RemoveNode() {
    StopNode();
    KEYHOLD_RETURN_IF_ERROR(RemoveTree(dir_, {"desired.json", "store/keyring"}));
    std::remove(absl::StrCat(options_.dir, "/log/node-", id_, ".log").c_str());
    KEYHOLD_RETURN_IF_ERROR(reports_.Removed(id_));
    if (port_ != 0) ports_.Release(port_);
    spdlog::info("node {}: removed", id_);
    removed_ = true;
    return OkStatus();
  }

  // --- the watching thread --------------------------------------------------------------------------------

  void Watch() {
    uint64_t seen = 0;
    while (!watch_stop_) {
      const auto answer =
          status_client_->Send({"GET", absl::StrCat("/status?after=", seen), "", kStatusPoll, ""});
      if (!answer.ok()) {
        // Whoever listens next may count from the start.
        seen = 0;
        Pause(kSocketRetry);
        continue;
      }
      auto status = wire::NodeStatusFromJson(*answer);
      if (!status.ok()) {
        spdlog::error("node {}: {}", id_, std::string(status.status().message()));
        Pause(kServerRetry);
      } else if (status->version > seen || seen == 0) {
        Forward(*std::move(status), seen);
      }
    }
  }

  void Forward(NodeStatus status, uint64_t& seen) {
    status.node_id = id_;
    {
      const std::lock_guard lock(mutex_);
      last_status_ = status;
    }
    const Status told = reports_.PutStatus(status);
    if (told.ok() || CauseOf(told) == Cause::kNotFound) {
      seen = status.version;
    } else {
      Pause(kServerRetry);
    }
  }

  void Pause(absl::Duration duration) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, absl::ToChronoNanoseconds(duration), [&] { return watch_stop_.load(); });
  }

  // --------------------------------------------------------------------------------------------------------

  // What an agent before this one wrote: enough to go on without the server.
  void Recall() {
    const auto text = ReadFile(DesiredPath());
    if (!text.ok()) return;
    auto desired = wire::DesiredNodeFromJson(json::parse(*text, nullptr, false));
    if (!desired.ok() || desired->node_id != id_) return;
    port_ = PortOf(desired->sql_listen);
    if (port_ != 0) ports_.Reserve(port_);
    wanted_ = *std::move(desired);
  }

  std::string DesiredPath() const { return dir_ + "/desired.json"; }
  std::string PidPath() const { return dir_ + "/agent-pid"; }

  const AgentOptions& options_;
  Ports& ports_;
  Reports& reports_;
  const std::string id_;
  const std::string dir_;
  const std::string socket_;
  const int wake_;
  const std::unique_ptr<HttpClient> status_client_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<DesiredNode> wanted_;  // guarded by mutex_, as are the next four
  bool remove_ = false;
  bool stop_ = false;
  NodesFate fate_ = NodesFate::kLeaveRunning;
  NodeStatus last_status_;

  std::atomic<bool> removed_ = false;
  std::atomic<bool> watch_stop_ = false;

  // Of the converging thread alone.
  Process process_;
  uint16_t port_ = 0;
  std::string written_;    // what desired.json holds
  std::string delivered_;  // what the running node has
  absl::Time started_at_ = absl::InfinitePast();
  absl::Duration backoff_ = kFirstBackoff;

  std::thread converge_;
  std::thread watch_;
};

}  // namespace

std::unique_ptr<NodeSupervisor> NodeSupervisor::Start(const AgentOptions& options, Ports& ports,
                                                      Reports& reports, const std::string& node_id) {
  return std::make_unique<Supervisor>(options, ports, reports, node_id);
}

}  // namespace keyhold::agent
