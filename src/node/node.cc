#include "node/node.h"

#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "gateway/gateway.h"
#include "node/certificate.h"
#include "node/control_socket.h"
#include "node/machine.h"
#include "node/memory.h"
#include "node/opened.h"

namespace keyhold::node {
namespace {

constexpr char kRevoked[] = "REVOKED";
constexpr absl::Duration kLongestRetry = absl::Seconds(60);  // while a key is destroyed
constexpr absl::Duration kCheckBudget = absl::Seconds(15);
constexpr int kEngineRestarts = 5;  // within kEngineWindow
constexpr absl::Duration kEngineWindow = absl::Minutes(1);

std::string Stamp(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone());
}

wire::KeySpec ToWire(const kms::KeySpec& spec) {
  return {std::string(kms::KeyTypeName(spec.type)), spec.uri, spec.auth_principal};
}

// The key ring's history as the Cloud API tells it; the platform's own key is no CMEK key.
std::vector<wire::KeyInfo> KeysOf(const keyring::Info& info) {
  std::vector<wire::KeyInfo> keys;
  for (const keyring::KeyRecord& record : info.keys) {
    if (record.spec.type == kms::KeyType::kNullKms) continue;
    wire::KeyInfo key;
    key.spec = ToWire(record.spec);
    key.status = record.active ? "ENABLED" : "DISABLED";
    if (!record.active && record.guards_data) {
      key.user_message = "data written while this key was in use is not re-encrypted yet: keep it enabled";
    }
    key.created_at = Stamp(record.created_at);
    key.updated_at = Stamp(record.updated_at);
    keys.push_back(std::move(key));
  }
  return keys;
}

std::string WhatToDo(Cause cause) {
  switch (cause) {
    case Cause::kKmsDenied:
      return "; restore the grant and the cluster serves again by itself";
    case Cause::kKmsDisabled:
      return "; enable the key and the cluster serves again by itself";
    case Cause::kKmsPendingDeletion:
      return "; cancel the deletion and enable the key, or the data cannot be recovered once the key is "
             "deleted";
    case Cause::kKmsKeyNotFound:
      return "; if the key was destroyed, the data is gone: it cannot be recovered by anyone";
    default:
      return "";
  }
}

class Running final : public Node {
 public:
  Running(const NodeOptions& options, const NodeParts& parts) : options_(options), parts_(parts) {}

  ~Running() override {
    Stop();
    if (worker_.joinable()) worker_.join();
    {
      const std::lock_guard lock(mutex_);
      wait_over_ = true;
      changed_.notify_all();
    }
    control_.reset();
  }

  Status Start();

  wire::NodeStatus AwaitStatus(uint64_t after, absl::Duration wait) override {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, absl::ToChronoMilliseconds(wait),
                      [&] { return status_.version > after || wait_over_; });
    return status_;
  }

  void Stop() override {
    const std::lock_guard lock(mutex_);
    stop_asked_ = true;
    wake_.notify_all();
  }

  void Wait() override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return status_.state == State::kStopped; });
  }

 private:
  Status StartGateway();
  Status StartControl();
  Status TakeDesired(const wire::DesiredNode& desired);
  StatusOr<wire::CheckReport> Check(const wire::KeySpec& spec);

  // The worker's; no lock is held while an action is carried out.
  void Run();
  Event AwaitEvent();
  void Handle(Event event);
  std::optional<Event> Act(Action action, Event because);
  std::optional<Event> Open();
  std::optional<Event> Probe();
  std::optional<Event> Close(Event because);
  std::optional<Event> RestartEngine();
  std::optional<Event> JudgeKey(const Status& status);
  void KeyIsUsable();
  void Follow();
  void ChangeKey(const wire::DesiredCmek& wanted);
  void RefuseSessions(Cause cause, const std::string& message);
  void Remember();
  bool Reopens(const wire::DesiredNode& desired) const;

  template <typename Change>
  void Publish(Change change) {
    const std::lock_guard lock(mutex_);
    change(status_);
    ++status_.version;
    changed_.notify_all();
  }
  wire::DesiredNode Desired() {
    const std::lock_guard lock(mutex_);
    return desired_;
  }
  State state() {
    const std::lock_guard lock(mutex_);
    return status_.state;
  }

  const NodeOptions options_;
  const NodeParts parts_;
  std::unique_ptr<gateway::Gateway> gateway_;
  std::unique_ptr<ControlSocket> control_;
  std::thread worker_;

  // The worker's own.
  Memory memory_;
  std::unique_ptr<Opened> opened_;
  Status trouble_;  // why the key is not usable, or what broke
  absl::Time unreachable_since_ = absl::InfiniteFuture();
  absl::Duration retry_;  // how long a locked node waits until its next try
  std::vector<absl::Time> engine_ends_;
  uint64_t followed_ = 0;  // the generation of desired state that was carried out last

  std::mutex mutex_;
  std::condition_variable wake_;     // the worker waits here
  std::condition_variable changed_;  // readers of the status wait here
  wire::DesiredNode desired_;        // guarded by mutex_, as all below
  wire::NodeStatus status_;
  absl::Time next_probe_ = absl::InfinitePast();
  bool stop_asked_ = false;
  bool engine_ended_ = false;
  bool wait_over_ = false;
};

Status Running::Start() {
  KEYHOLD_ASSIGN_OR_RETURN(desired_, ReadDesired(options_.dir));
  KEYHOLD_ASSIGN_OR_RETURN(memory_, ReadMemory(options_.dir));
  retry_ = absl::Milliseconds(desired_.probe_interval_ms);
  status_.version = static_cast<uint64_t>(absl::ToUnixMicros(parts_.clock.Now()));
  status_.node_id = desired_.node_id;
  status_.cmek_generation = memory_.cmek_generation;
  status_.cmek_status = memory_.cmek_status;
  status_.failure = memory_.cmek_failure;
  status_.keys = memory_.keys;
  status_.key_ring_epoch = memory_.key_ring_epoch;
  KEYHOLD_RETURN_IF_ERROR(StartGateway());
  KEYHOLD_RETURN_IF_ERROR(StartControl());
  worker_ = std::thread([this] { Run(); });
  return OkStatus();
}

Status Running::StartGateway() {
  KEYHOLD_ASSIGN_OR_RETURN(const Certificate certificate,
                           EnsureCertificate(options_.dir + "/tls", parts_.clock));
  gateway::GatewayOptions options;
  options.listen = desired_.sql_listen;
  options.upstream_socket = engine::Postgres::SocketPath(options_.socket_dir);
  options.certificate_path = certificate.certificate_path;
  options.key_path = certificate.key_path;
  options.allowlist = desired_.allowlist;
  options.cluster_settings["enterprise.encryption.type"] = [] { return std::string("AES-256-GCM"); };
  options.cluster_settings["cluster.organization"] = [id = desired_.organization_id] { return id; };
  KEYHOLD_ASSIGN_OR_RETURN(gateway_, gateway::Gateway::Start(options));
  RefuseSessions(Cause::kUnavailable, "the node is starting; try again in a moment");
  status_.sql_address =
      desired_.sql_listen.substr(0, desired_.sql_listen.rfind(':') + 1) + std::to_string(gateway_->port());
  status_.ca_pem = certificate.ca_pem;
  return OkStatus();
}

Status Running::StartControl() {
  const std::string run = options_.dir + "/run";
  if (mkdir(run.c_str(), 0700) != 0 && errno != EEXIST) return ErrnoError(errno, "making " + run);
  ControlHandlers handlers;
  handlers.status = [this](uint64_t after, absl::Duration wait) { return AwaitStatus(after, wait); };
  handlers.desired = [this](const wire::DesiredNode& desired) { return TakeDesired(desired); };
  handlers.check = [this](const wire::KeySpec& spec) { return Check(spec); };
  handlers.stop = [this] { Stop(); };
  KEYHOLD_ASSIGN_OR_RETURN(control_, ControlSocket::Start(run + "/control.sock", std::move(handlers)));
  return OkStatus();
}

Status Running::TakeDesired(const wire::DesiredNode& desired) {
  const std::lock_guard lock(mutex_);
  if (desired.node_id != desired_.node_id || desired.cluster_id != desired_.cluster_id) {
    return Error(Cause::kInvalidArgument, "this desired state is another node's");
  }
  if (desired.generation <= desired_.generation) return OkStatus();
  desired_ = desired;
  wake_.notify_all();
  return OkStatus();
}

StatusOr<wire::CheckReport> Running::Check(const wire::KeySpec& wanted) {
  const wire::DesiredNode desired = Desired();
  KEYHOLD_ASSIGN_OR_RETURN(const kms::KeySpec spec,
                           kms::MakeKeySpec(wanted.type, wanted.uri, wanted.auth_principal));
  KEYHOLD_ASSIGN_OR_RETURN(const auto kms, parts_.kms.Open(spec));
  const kms::Context context = keyring::ToContext({desired.cluster_id, desired.region, desired.node_id});
  const kms::CheckReport report = kms->Check(desired.region, context, kCheckBudget);
  wire::CheckReport answer;
  answer.usable = report.Usable();
  for (const kms::CheckStep& step : report.steps) {
    answer.steps.push_back({step.name, step.passed ? "PASS" : "FAIL",
                            step.passed ? "" : std::string(CauseName(step.cause)), step.message,
                            absl::ToInt64Microseconds(step.took)});
  }
  return answer;
}

void Running::Run() {
  while (state() != State::kStopped) Handle(AwaitEvent());
}

// What comes first when several things have happened: a stop, a revocation, an engine that ended, then the
// probe.
Event Running::AwaitEvent() {
  std::unique_lock lock(mutex_);
  while (true) {
    if (stop_asked_) return Event::kStopAsked;
    const State state = status_.state;
    const bool open = state == State::kServing || state == State::kStarting;
    if (open && desired_.revoked) return Event::kRevokeAsked;
    if (std::exchange(engine_ended_, false) && state == State::kServing) return Event::kEngineEnded;
    if (desired_.generation != followed_) {
      lock.unlock();
      Follow();
      lock.lock();
      continue;
    }
    const absl::Time now = parts_.clock.Now();
    const bool waits_for_put = state == State::kLocked && desired_.revoked;
    if (now >= next_probe_ && state != State::kFailed && !waits_for_put) {
      const double jitter = 0.95 + 0.1 * (static_cast<double>(status_.version % 97) / 97.0);
      const absl::Duration interval =
          state == State::kLocked ? retry_ : absl::Milliseconds(desired_.probe_interval_ms);
      next_probe_ = now + interval * jitter;
      return Event::kProbeDue;
    }
    const absl::Duration wait = std::clamp(next_probe_ - now, absl::Milliseconds(1), absl::Seconds(1));
    wake_.wait_for(lock, absl::ToChronoMilliseconds(wait));
  }
}

void Running::Handle(Event event) {
  for (std::optional<Event> next = event; next.has_value();) {
    const Event now = *next;
    const State before = state();
    const Transition transition = Next(before, now);
    if (transition.next != before) {
      spdlog::info("node: {} on {}: {}, {}", wire::NodeStateName(before), EventName(now),
                   wire::NodeStateName(transition.next), ActionName(transition.action));
      Publish([&](wire::NodeStatus& status) { status.state = transition.next; });
    }
    next = Act(transition.action, now);
  }
}

std::optional<Event> Running::Act(Action action, Event because) {
  switch (action) {
    case Action::kNone:
      return std::nullopt;
    case Action::kProbe:
      return Probe();
    case Action::kOpen:
      return Open();
    case Action::kClose:
      return Close(because);
    case Action::kRestartEngine:
      return RestartEngine();
  }
  return std::nullopt;
}

std::optional<Event> Running::Open() {
  const wire::DesiredNode desired = Desired();
  if (desired.revoked) return Event::kRevokeAsked;
  auto opened = Opened::Open(options_, parts_, desired, memory_.key_ring_epoch, [this] {
    const std::lock_guard lock(mutex_);
    engine_ended_ = true;
    wake_.notify_all();
  });
  if (!opened.ok()) {
    trouble_ = opened.status();
    const std::string_view cause = CauseName(CauseOf(trouble_));
    if (cause.rfind("KMS_", 0) == 0) return Event::kKeyLost;
    spdlog::error("node: {}", std::string(trouble_.message()));
    return Event::kBroken;
  }
  opened_ = *std::move(opened);
  {
    const std::lock_guard lock(mutex_);
    engine_ended_ = false;
  }
  retry_ = absl::Milliseconds(desired.probe_interval_ms);
  KeyIsUsable();
  Remember();
  if (desired.cmek.has_value() && desired.cmek->generation > memory_.cmek_generation)
    ChangeKey(*desired.cmek);
  gateway_->Unlock();
  return Event::kDone;
}

void Running::KeyIsUsable() {
  unreachable_since_ = absl::InfiniteFuture();
  const std::string now = Stamp(parts_.clock.Now());
  Publish([&](wire::NodeStatus& status) {
    status.last_probe_at = now;
    status.lock.reset();
    status.warning.reset();
    status.locks_at.clear();
    status.failure = memory_.cmek_failure;
    status.cmek_status = memory_.cmek_status;
  });
}

std::optional<Event> Running::Probe() {
  const Status status = opened_->Probe();
  return JudgeKey(status);
}

// Refusals lock at once; what may be a fault on the way is borne for the grace.
std::optional<Event> Running::JudgeKey(const Status& status) {
  if (status.ok()) {
    if (unreachable_since_ != absl::InfiniteFuture()) spdlog::info("node: the KMS answers again");
    KeyIsUsable();
    return Event::kKeyUsable;
  }
  trouble_ = status;
  if (IsRevocation(CauseOf(status))) return Event::kKeyLost;
  const absl::Time now = parts_.clock.Now();
  if (unreachable_since_ == absl::InfiniteFuture()) {
    unreachable_since_ = now;
    spdlog::warn("node: {}", std::string(status.message()));
  }
  const absl::Time locks_at = unreachable_since_ + absl::Milliseconds(Desired().unreachable_grace_ms);
  Publish([&](wire::NodeStatus& s) {
    s.warning = wire::Trouble{std::string(CauseName(CauseOf(status))), std::string(status.message()),
                              Stamp(unreachable_since_)};
    s.locks_at = Stamp(locks_at);
  });
  return now >= locks_at ? std::optional(Event::kKeyLost) : std::nullopt;
}

void Running::RefuseSessions(Cause cause, const std::string& message) {
  gateway::LockReason reason;
  reason.cause = cause;
  reason.message = message;
  gateway_->Lock(reason);
}

// Sessions first: nobody is served while the rest is taken down.
std::optional<Event> Running::Close(Event because) {
  wire::Trouble why;
  Cause cause = Cause::kUnavailable;
  if (because == Event::kRevokeAsked) {
    why = {
        kRevoked,
        "access to the cluster's data was revoked (CMEK REVOKE); update its CMEK key spec to bring it back",
        ""};
    cause = Cause::kKmsDenied;
  } else if (because == Event::kStopAsked) {
    why.message = "the node is stopping";
  } else {
    cause = CauseOf(trouble_);
    why = {std::string(CauseName(cause)), std::string(trouble_.message()) + WhatToDo(cause), ""};
  }
  why.since = Stamp(parts_.clock.Now());
  RefuseSessions(cause, why.message);
  if (because != Event::kStopAsked) {
    Publish([&](wire::NodeStatus& status) {
      if (because == Event::kRevokeAsked) status.cmek_status = "REVOKING";
      if (because == Event::kBroken) status.failure = why.message;
      status.lock = why;
      status.warning.reset();
      status.locks_at.clear();
    });
  }
  if (opened_ != nullptr) {
    const Status closed = opened_->Close();
    if (!closed.ok()) spdlog::warn("node: {}", std::string(closed.message()));
    opened_.reset();
  }
  unreachable_since_ = absl::InfiniteFuture();
  if (because == Event::kRevokeAsked) {
    Publish([](wire::NodeStatus& status) { status.cmek_status = kRevoked; });
  }
  return because == Event::kBroken ? std::nullopt : std::optional(Event::kDone);
}

std::optional<Event> Running::RestartEngine() {
  const absl::Time now = parts_.clock.Now();
  std::erase_if(engine_ends_, [&](absl::Time end) { return end < now - kEngineWindow; });
  engine_ends_.push_back(now);
  RefuseSessions(Cause::kUnavailable,
                 "the database has stopped and is being restarted; try again in a moment");
  if (engine_ends_.size() > kEngineRestarts) {
    trouble_ = Error(Cause::kUnavailable, "PostgreSQL ended " + std::to_string(engine_ends_.size()) +
                                              " times within a minute; the node's log says why");
    return Event::kBroken;
  }
  spdlog::warn("node: PostgreSQL ended by itself; starting it again");
  if (trouble_ = opened_->RestartEngine(); !trouble_.ok()) return Event::kBroken;
  gateway_->Unlock();
  return std::nullopt;
}

// A locked node looks at its key again when it is told something new.
bool Running::Reopens(const wire::DesiredNode& desired) const {
  return !desired.revoked && desired.cmek.has_value() && desired.cmek->generation > memory_.cmek_generation;
}

// Carries out what of the desired state needs no transition.
void Running::Follow() {
  const wire::DesiredNode desired = Desired();
  if (const Status status = gateway_->SetAllowlist(desired.allowlist); !status.ok()) {
    spdlog::error("node: {}", std::string(status.message()));
  }
  if (state() == State::kServing && !desired.revoked) {
    if (const Status status = opened_->ApplyUsers(desired.sql_users); !status.ok()) {
      spdlog::error("node: {}", std::string(status.message()));
    }
    if (desired.cmek.has_value() && desired.cmek->generation > memory_.cmek_generation)
      ChangeKey(*desired.cmek);
  }
  followed_ = desired.generation;
  Publish([&](wire::NodeStatus& status) { status.observed_generation = desired.generation; });
  if (state() == State::kLocked) {
    const std::lock_guard lock(mutex_);
    if (Reopens(desired)) next_probe_ = absl::InfinitePast();
  }
}

// Enable and rotate: the old key stays in force unless the new one is proved and written down.
void Running::ChangeKey(const wire::DesiredCmek& wanted) {
  const bool enables = opened_->ring().GetInfo().keys.front().spec.type == kms::KeyType::kNullKms;
  Publish([&](wire::NodeStatus& status) { status.cmek_status = enables ? "ENABLING" : "ROTATING"; });
  Status status;
  const auto spec =
      kms::MakeKeySpec(wanted.key_spec.type, wanted.key_spec.uri, wanted.key_spec.auth_principal);
  status = spec.ok() ? opened_->UseKey(*spec, Desired().region) : spec.status();
  memory_.cmek_generation = wanted.generation;
  memory_.cmek_failure = status.ok() ? "" : std::string(status.message());
  memory_.cmek_status = status.ok() ? "ENABLED" : enables ? "ENABLE_FAILED" : "ROTATE_FAILED";
  if (status.ok()) unreachable_since_ = absl::InfiniteFuture();
  Remember();
  if (status.ok()) return;
  spdlog::error("node: {}: {}", memory_.cmek_status, memory_.cmek_failure);
  const std::string now = Stamp(parts_.clock.Now());
  memory_.keys.insert(memory_.keys.begin(),
                      {wanted.key_spec, memory_.cmek_status, memory_.cmek_failure, now, now});
  Publish([&](wire::NodeStatus& s) { s.keys = memory_.keys; });
}

// What the key ring says now, kept for when it is closed.
void Running::Remember() {
  const keyring::Info info = opened_->ring().GetInfo();
  memory_.key_ring_epoch = std::max(memory_.key_ring_epoch, info.epoch);
  memory_.keys = KeysOf(info);
  if (memory_.cmek_failure.empty()) memory_.cmek_status = memory_.keys.empty() ? "DISABLED" : "ENABLED";
  if (const Status written = WriteMemory(options_.dir, memory_); !written.ok()) {
    spdlog::error("node: {}", std::string(written.message()));
  }
  Publish([&](wire::NodeStatus& status) {
    status.keys = memory_.keys;
    status.key_ring_epoch = memory_.key_ring_epoch;
    status.cmek_generation = memory_.cmek_generation;
    status.cmek_status = memory_.cmek_status;
    status.failure = memory_.cmek_failure;
  });
}

}  // namespace

StatusOr<std::unique_ptr<Node>> Node::Start(const NodeOptions& options, const NodeParts& parts) {
  auto node = std::make_unique<Running>(options, parts);
  KEYHOLD_RETURN_IF_ERROR(node->Start());
  return std::unique_ptr<Node>(std::move(node));
}

}  // namespace keyhold::node
