#include "agent/agent.h"

#include <signal.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "agent/files.h"
#include "agent/http_client.h"
#include "agent/node_supervisor.h"

namespace keyhold::agent {
namespace {

using nlohmann::json;

constexpr absl::Duration kWorkPoll = absl::Seconds(35);  // the server answers after 25 s at the latest
constexpr absl::Duration kServerRetry = absl::Milliseconds(500);

// Ids become paths.
bool IsId(const std::string& id) {
  return id.size() == 36 && id.find_first_not_of("0123456789abcdef-") == std::string::npos;
}

Status CheckOptions(const AgentOptions& options) {
  if (options.node_command.empty() || options.node_command.front().find('/') == std::string::npos) {
    return Error(Cause::kInvalidArgument, "node_command must start with the path of a program");
  }
  return EnsureDirectory(options.dir + "/nodes");
}

// The server, for supervisors: a connection for each call, since they come from many threads.
class ServerReports final : public Reports {
 public:
  explicit ServerReports(const AgentOptions& options) : options_(options) {}

  StatusOr<json> Send(HttpClient& client, HttpCall call) const {
    KEYHOLD_ASSIGN_OR_RETURN(const std::string token, ReadFile(options_.token_path));
    call.bearer = std::string(absl::StripTrailingAsciiWhitespace(token));
    return client.Send(call);
  }

  Status PutStatus(const wire::NodeStatus& status) override {
    return Call(
        {"PUT", absl::StrCat("/agent/v1/nodes/", status.node_id, "/status"), BodyOf(wire::ToJson(status))});
  }

  Status Removed(const std::string& node_id) override {
    return Call({"POST", absl::StrCat("/agent/v1/nodes/", node_id, "/removed"), "{}"});
  }

  Status Call(const HttpCall& call) const {
    return Send(*HttpClient::ForUrl(options_.server_url), call).status();
  }

 private:
  const AgentOptions& options_;
};

class HostAgent final : public Agent {
 public:
  explicit HostAgent(AgentOptions options)
      : options_(std::move(options)),
        ports_(options_.sql_address, options_.first_sql_port),
        reports_(options_),
        work_client_(HttpClient::ForUrl(options_.server_url)) {
    thread_ = std::thread([this] { Run(); });
  }

  ~HostAgent() override { HostAgent::Stop(NodesFate::kLeaveRunning); }

  void Stop(NodesFate fate) override {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    stopping_.notify_all();
    work_client_->Abort();
    if (thread_.joinable()) thread_.join();
    checks_.clear();  // waits for them
    StopNodes(fate);
  }

 private:
  void Run() {
    AdoptPorts();
    bool told = false;
    while (!stop_) {
      const auto work = reports_.Send(*work_client_, {"GET", WorkPath(), "", kWorkPoll});
      Status status = work.ok() ? Take(*work) : work.status();
      if (status.ok()) {
        told = false;
        continue;
      }
      if (!stop_ && !told) spdlog::warn("the server: {}", std::string(status.message()));
      told = true;
      Pause();
    }
  }

  std::string WorkPath() const {
    return absl::StrCat("/agent/v1/work?host=", options_.host_id, "&version=", version_);
  }

  void Pause() {
    std::unique_lock lock(mutex_);
    stopping_.wait_for(lock, absl::ToChronoNanoseconds(kServerRetry), [&] { return stop_.load(); });
  }

  // Nodes that an agent before this one started are watched even while the server is not there, and keep
  // their ports.
  void AdoptPorts() {
    const auto ids = ListDirectory(options_.dir + "/nodes");
    if (!ids.ok()) return;
    for (const std::string& id : *ids) {
      if (IsId(id)) SupervisorOf(id);
    }
  }

  std::shared_ptr<NodeSupervisor> SupervisorOf(const std::string& id) {
    auto& supervisor = nodes_[id];
    if (supervisor == nullptr) supervisor = NodeSupervisor::Start(options_, ports_, reports_, id);
    return supervisor;
  }

  Status Take(const json& work) {
    try {
      for (const json& node : work.at("nodes")) KEYHOLD_RETURN_IF_ERROR(TakeNode(node));
      for (const json& check : work.at("checks")) KEYHOLD_RETURN_IF_ERROR(TakeCheck(check));
      version_ = work.at("version").get<std::string>();
    } catch (const json::exception& e) {
      return Error(Cause::kCorrupt, absl::StrCat("the work is malformed: ", e.what()));
    }
    std::erase_if(nodes_, [](const auto& entry) { return entry.second->removed(); });
    return OkStatus();
  }

  Status TakeNode(const json& node) {
    KEYHOLD_ASSIGN_OR_RETURN(const wire::DesiredNode desired, wire::DesiredNodeFromJson(node.at("desired")));
    if (!IsId(desired.node_id)) return Error(Cause::kCorrupt, "the work has a node whose id is none");
    if (node.at("remove").get<bool>()) {
      SupervisorOf(desired.node_id)->Remove();
    } else {
      SupervisorOf(desired.node_id)->Want(desired);
    }
    return OkStatus();
  }

  Status TakeCheck(const json& check) {
    KEYHOLD_ASSIGN_OR_RETURN(const wire::KeySpec spec, wire::KeySpecFromJson(check.at("key_spec")));
    const auto id = check.at("id").get<std::string>();
    const auto node_id = check.at("node_id").get<std::string>();
    const auto region = check.value("region", "");
    if (!IsId(id) || !IsId(node_id)) return Error(Cause::kCorrupt, "the work has a check whose id is none");
    const auto found = nodes_.find(node_id);
    if (found == nodes_.end()) return OkStatus();
    std::erase_if(checks_, [](const auto& check) {
      return check.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
    });
    checks_.push_back(std::async(std::launch::async, [this, node = found->second, id, spec, region] {
      Answer(id, node->Check(spec, region));
    }));
    return OkStatus();
  }

  void Answer(const std::string& check_id, const StatusOr<wire::CheckReport>& report) const {
    const json body = report.ok() ? json{{"report", wire::ToJson(*report)}}
                                  : json{{"cause", CauseName(CauseOf(report.status()))},
                                         {"message", std::string(report.status().message())}};
    const Status told = reports_.Call({"POST", absl::StrCat("/agent/v1/checks/", check_id), BodyOf(body)});
    if (!told.ok()) spdlog::warn("check {}: {}", check_id, std::string(told.message()));
  }

  void StopNodes(NodesFate fate) {
    std::vector<std::thread> stops;
    for (auto& entry : nodes_) {
      stops.emplace_back([&node = *entry.second, fate] { node.Stop(fate); });
    }
    for (std::thread& stop : stops) stop.join();
    nodes_.clear();
  }

  const AgentOptions options_;
  Ports ports_;
  ServerReports reports_;
  const std::unique_ptr<HttpClient> work_client_;

  std::mutex mutex_;
  std::condition_variable stopping_;
  std::atomic<bool> stop_ = false;

  // Of the agent's thread, and of Stop() after it.
  std::map<std::string, std::shared_ptr<NodeSupervisor>> nodes_;
  std::vector<std::future<void>> checks_;
  std::string version_;

  std::thread thread_;
};

}  // namespace

StatusOr<std::unique_ptr<Agent>> Agent::Start(AgentOptions options) {
  KEYHOLD_RETURN_IF_ERROR(CheckOptions(options));
  return std::unique_ptr<Agent>(std::make_unique<HostAgent>(std::move(options)));
}

Status RunAgent(AgentOptions options, const std::function<void()>& ready) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  KEYHOLD_ASSIGN_OR_RETURN(const auto agent, Agent::Start(std::move(options)));
  ready();
  int signal = 0;
  sigwait(&signals, &signal);
  agent->Stop(signal == SIGTERM ? NodesFate::kStop : NodesFate::kLeaveRunning);
  return OkStatus();
}

}  // namespace keyhold::agent
