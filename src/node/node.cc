#include "node/node.h"

#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "gateway/gateway.h"
#include "node/certificate.h"
#include "node/control_socket.h"
#include "node/door.h"
#include "node/following.h"
#include "node/key_check.h"
#include "node/key_watch.h"
#include "node/machine.h"
#include "node/memory.h"
#include "node/opened.h"
#include "node/remembered.h"
#include "node/reopening.h"
#include "node/ring_file.h"
#include "node/status_board.h"
#include "node/words.h"

namespace keyhold::node {
namespace {

constexpr absl::Duration kCheckBudget = absl::Seconds(15);
constexpr int kEngineRestarts = 5;  // within kEngineWindow
constexpr absl::Duration kEngineWindow = absl::Minutes(1);
constexpr absl::Duration kCertificateCheck = absl::Hours(1);
constexpr absl::Duration kLogAgain = absl::Minutes(1);
constexpr absl::Duration kUsableAgain = absl::Seconds(10);  // so often it is news that the key still is

bool IsKmsCause(Cause cause) { return CauseName(cause).rfind("KMS_", 0) == 0; }

// In [0, 1).
double Share(crypto::Random& random) {
  std::array<uint8_t, 2> bytes;
  random.Fill(bytes);
  return (256.0 * bytes[0] + bytes[1]) / 65536.0;
}

class Running final : public Node {
 public:
  Running(const NodeOptions& options, const NodeParts& parts)
      : options_(options),
        parts_(parts),
        board_(static_cast<uint64_t>(absl::ToUnixMicros(parts.clock.Now()))),
        ring_file_(options.dir) {}

  ~Running() override {
    Stop();
    if (worker_.joinable()) worker_.join();
    following_.reset();
    board_.EndWaits();
    control_.reset();
  }

  Status Start();

  wire::NodeStatus AwaitStatus(uint64_t after, absl::Duration wait) override {
    return board_.Await(after, wait);
  }

  void Stop() override {
    const std::lock_guard lock(mutex_);
    stop_asked_ = true;
    wake_.notify_all();
  }

  void Wait() override { board_.AwaitState(State::kStopped); }

 private:
  Status StartGateway();
  Status StartControl();
  Status TakeDesired(const wire::DesiredNode& desired);
  StatusOr<wire::CheckReport> Check(const wire::KeySpec& wanted, const std::string& wanted_region);

  // The worker's; no lock is held while an action is carried out.
  void Run();
  Event AwaitEvent();
  std::optional<Event> Urgent();
  void Handle(Event event);
  std::optional<Event> Act(Action action, Event because);
  std::optional<Event> Open();
  std::optional<Event> NotOpened(const Status& status);
  std::optional<Event> Probe();
  std::optional<Event> Close(Event because);
  std::optional<Event> RestartEngine();
  void TakeIn(std::shared_ptr<Opened> opened);
  void KeyIsUsable();
  void KeyIsSilent(const Status& status, const Verdict& verdict);
  void Follow();
  void CheckPast(const wire::DesiredNode& desired);
  void RenewCertificate();
  wire::Trouble Why(Event because) const;
  void Tell(Event because);
  void KnowDoom();
  void LookAgain(Event because);
  Past PastNow();
  void TryAgainLater();
  void ProbeIn(absl::Duration wait);
  ProbeTiming Timing();

  // Of any thread.
  wire::DesiredNode Desired() {
    const std::lock_guard lock(mutex_);
    return desired_;
  }
  std::shared_ptr<Opened> OpenedNow() {
    const std::lock_guard lock(mutex_);
    return opened_;
  }

  const NodeOptions options_;
  const NodeParts parts_;
  StatusBoard board_;
  std::unique_ptr<Remembered> memory_;
  std::unique_ptr<Door> door_;
  std::unique_ptr<ControlSocket> control_;
  std::unique_ptr<Following> following_;
  std::thread worker_;

  // The worker's own.
  State state_ = State::kStarting;
  Status trouble_;  // why the key is not usable, or what broke
  bool revoke_told_ = false;
  bool outdated_ = false;  // what is open turned out to be an older copy
  KeyWatch key_watch_;
  Reopening reopening_;
  RingFile ring_file_;  // known as it was when the store was last tried, or closed
  std::vector<absl::Time> engine_ends_;
  uint64_t followed_ = 0;  // the generation of desired state that was seen last
  Certificate certificate_;
  absl::Time next_certificate_check_;
  absl::Time logged_silence_ = absl::InfinitePast();
  absl::Time told_usable_ = absl::InfinitePast();

  std::mutex mutex_;
  std::condition_variable wake_;    // the worker waits here
  wire::DesiredNode desired_;       // guarded by mutex_, as all below
  std::shared_ptr<Opened> opened_;  // replaced by the worker alone
  absl::Time next_probe_ = absl::InfinitePast();
  bool stop_asked_ = false;
  bool past_grew_ = false;
  bool engine_ended_ = false;
};

Status Running::Start() {
  KEYHOLD_ASSIGN_OR_RETURN(desired_, ReadDesired(options_.dir));
  board_.Change([&](wire::NodeStatus& status) { status.node_id = desired_.node_id; });
  KEYHOLD_ASSIGN_OR_RETURN(memory_, Remembered::Load(options_.dir, board_));
  KEYHOLD_RETURN_IF_ERROR(StartGateway());
  KEYHOLD_RETURN_IF_ERROR(StartControl());
  following_ = std::make_unique<Following>(Following::Parts{
      parts_.clock, board_, *memory_, *door_, [this] { return Desired(); }, [this] { return OpenedNow(); }});
  worker_ = std::thread([this] { Run(); });
  return OkStatus();
}

Status Running::StartGateway() {
  KEYHOLD_ASSIGN_OR_RETURN(certificate_, EnsureCertificate(options_.dir + "/tls", parts_.clock));
  next_certificate_check_ = parts_.clock.Now() + kCertificateCheck;
  gateway::GatewayOptions options;
  options.listen = desired_.sql_listen;
  options.upstream_socket = engine::Postgres::SocketPath(options_.socket_dir);
  options.certificate_path = certificate_.certificate_path;
  options.key_path = certificate_.key_path;
  options.allowlist = desired_.allowlist;
  options.cluster_settings["enterprise.encryption.type"] = [] { return std::string("AES-256-GCM"); };
  options.cluster_settings["cluster.organization"] = [id = desired_.organization_id] { return id; };
  KEYHOLD_ASSIGN_OR_RETURN(auto gateway, gateway::Gateway::Start(options));
  const std::string port = std::to_string(gateway->port());
  door_ = std::make_unique<Door>(std::move(gateway));
  door_->Shut(Cause::kUnavailable, "the node is starting; try again in a moment", true);
  board_.Change([&](wire::NodeStatus& status) {
    status.sql_address = desired_.sql_listen.substr(0, desired_.sql_listen.rfind(':') + 1) + port;
    status.ca_pem = certificate_.ca_pem;
  });
  return OkStatus();
}

Status Running::StartControl() {
  const std::string run = options_.dir + "/run";
  if (mkdir(run.c_str(), 0700) != 0 && errno != EEXIST) return ErrnoError(errno, "making " + run);
  ControlHandlers handlers;
  handlers.status = [this](uint64_t after, absl::Duration wait) { return AwaitStatus(after, wait); };
  handlers.desired = [this](const wire::DesiredNode& desired) { return TakeDesired(desired); };
  handlers.check = [this](const wire::KeySpec& spec, const std::string& region) {
    return Check(spec, region);
  };
  handlers.stop = [this] { Stop(); };
  KEYHOLD_ASSIGN_OR_RETURN(control_, ControlSocket::Start(run + "/control.sock", std::move(handlers)));
  return OkStatus();
}

Status Running::TakeDesired(const wire::DesiredNode& desired) {
  const std::lock_guard lock(mutex_);
  if (desired.node_id != desired_.node_id || desired.cluster_id != desired_.cluster_id) {
    return Error(Cause::kInvalidArgument, "this desired state is another node's");
  }
  const Past past{std::max(desired.min_key_ring_epoch, desired_.min_key_ring_epoch),
                  std::max(desired.min_store_generation, desired_.min_store_generation)};
  if (desired.generation > desired_.generation) desired_ = desired;
  desired_.min_key_ring_epoch = past.key_ring_epoch;
  desired_.min_store_generation = past.store_generation;
  past_grew_ = true;
  wake_.notify_all();
  return OkStatus();
}

StatusOr<wire::CheckReport> Running::Check(const wire::KeySpec& wanted, const std::string& wanted_region) {
  const wire::DesiredNode desired = Desired();
  KEYHOLD_ASSIGN_OR_RETURN(const kms::KeySpec spec,
                           kms::MakeKeySpec(wanted.type, wanted.uri, wanted.auth_principal));
  KEYHOLD_ASSIGN_OR_RETURN(const auto kms, parts_.kms.Open(spec));
  // A region that the cluster is to get has no node yet.
  const std::string& region = wanted_region.empty() ? desired.region : wanted_region;
  const kms::Context context = keyring::ToContext({desired.cluster_id, region, desired.node_id});
  return CheckKey(*kms, region, context, parts_.clock, parts_.random, kCheckBudget);
}

void Running::Run() {
  while (state_ != State::kStopped) Handle(AwaitEvent());
}

ProbeTiming Running::Timing() {
  const wire::DesiredNode desired = Desired();
  return {absl::Milliseconds(desired.probe_interval_ms), absl::Milliseconds(desired.unreachable_grace_ms)};
}

// Nodes that lost their KMS together must not come back to it together.
void Running::ProbeIn(absl::Duration wait) {
  const absl::Duration jittered = wait * (0.95 + 0.1 * Share(parts_.random));
  const std::lock_guard lock(mutex_);
  next_probe_ = parts_.clock.Now() + jittered;
}

// What does not wait for the probe, the most urgent first. mutex_ is held.
std::optional<Event> Running::Urgent() {
  if (stop_asked_) return Event::kStopAsked;
  if (desired_.revoked && !revoke_told_) return Event::kRevokeAsked;
  if (std::exchange(outdated_, false)) return Event::kBroken;
  if (std::exchange(engine_ended_, false) && state_ == State::kServing) return Event::kEngineEnded;
  return std::nullopt;
}

Event Running::AwaitEvent() {
  while (true) {
    if (opened_ == nullptr && ring_file_.Replaced()) ProbeIn(absl::ZeroDuration());
    std::unique_lock lock(mutex_);
    if (const auto event = Urgent()) return *event;
    const absl::Time now = parts_.clock.Now();
    if (std::exchange(past_grew_, false) || desired_.generation != followed_ ||
        now >= next_certificate_check_) {
      lock.unlock();
      if (now >= next_certificate_check_) RenewCertificate();
      Follow();
      continue;
    }
    if (now >= next_probe_ && !desired_.revoked) return Event::kProbeDue;
    const absl::Duration wait = std::clamp(next_probe_ - now, absl::Milliseconds(1), absl::Seconds(1));
    wake_.wait_for(lock, absl::ToChronoMilliseconds(wait));
  }
}

void Running::Handle(Event event) {
  for (std::optional<Event> next = event; next.has_value();) {
    const Event now = *next;
    const State before = state_;
    const Transition transition = Next(before, now);
    if (transition.next != before) {
      spdlog::info("node: {} on {}: {}, {}", wire::NodeStateName(before), EventName(now),
                   wire::NodeStateName(transition.next), ActionName(transition.action));
      state_ = transition.next;
      board_.Change([&](wire::NodeStatus& status) { status.state = transition.next; });
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
    case Action::kTell:
      Tell(because);
      return std::nullopt;
    case Action::kRestartEngine:
      return RestartEngine();
  }
  return std::nullopt;
}

std::optional<Event> Running::Open() {
  const wire::DesiredNode desired = Desired();
  if (desired.revoked) return Event::kRevokeAsked;
  ring_file_.Look();
  auto opened = Opened::Open(options_, parts_, desired, PastNow(), [this] {
    const std::lock_guard lock(mutex_);
    engine_ended_ = true;
    wake_.notify_all();
  });
  if (!opened.ok()) return NotOpened(opened.status());
  TakeIn(*std::move(opened));
  return Event::kDone;
}

std::optional<Event> Running::NotOpened(const Status& status) {
  trouble_ = status;
  KnowDoom();
  TryAgainLater();
  if (IsKmsCause(CauseOf(status))) return Event::kKeyLost;
  spdlog::error("node: {}", std::string(status.message()));
  return Event::kBroken;
}

void Running::TryAgainLater() {
  const Cause cause = CauseOf(trouble_);
  const ClosedBy why = !IsKmsCause(cause)                ? ClosedBy::kFailure
                       : cause == Cause::kKmsKeyNotFound ? ClosedBy::kKeyDestroyed
                                                         : ClosedBy::kKeyLost;
  ProbeIn(reopening_.Next(why, Timing().interval, parts_.clock.Now()));
}

// A destroyed key of another account is "denied" to us, as one that never was: what was seen while it waited
// for its deletion tells them apart.
void Running::KnowDoom() {
  const Cause cause = CauseOf(trouble_);
  const Memory memory = memory_->Now();
  const auto key = std::find_if(memory.keys.begin(), memory.keys.end(),
                                [](const wire::KeyInfo& info) { return info.status == "ENABLED"; });
  if (key == memory.keys.end()) return;
  const bool doomed = memory.doomed_key == key->spec.uri;
  if (cause == Cause::kKmsPendingDeletion) {
    const absl::Time at = doomed ? memory.doomed_at : DeletionOf(parts_.kms, key->spec);
    if (at == absl::InfiniteFuture()) return;
    if (!doomed) memory_->Keep([&](Memory& m) { m.doomed_key = key->spec.uri, m.doomed_at = at; });
    trouble_ = Error(cause, std::string(trouble_.message()) + "; the deletion is due at " + Stamp(at));
  } else if (doomed && (cause == Cause::kKmsDenied || cause == Cause::kKmsKeyNotFound)) {
    if (parts_.clock.Now() < memory.doomed_at) return;
    trouble_ = Error(
        Cause::kKmsKeyNotFound,
        "the key " + key->spec.uri + " was to be deleted at " + Stamp(memory.doomed_at) +
            " and is refused since (" + std::string(CauseName(cause)) +
            "): it is destroyed, and the data cannot be recovered by anyone; nothing of it was deleted here");
  } else if (doomed && IsRevocation(cause)) {
    memory_->Keep([](Memory& m) { m.doomed_key.clear(), m.doomed_at = absl::InfiniteFuture(); });
  }
}

// Users first: one who was removed while the node was closed must not come in.
void Running::TakeIn(std::shared_ptr<Opened> opened) {
  const wire::DesiredNode desired = Desired();
  const bool users_known = opened->ApplyUsers(desired.sql_users).ok();
  {
    const std::lock_guard lock(mutex_);
    engine_ended_ = false;
    opened_ = std::move(opened);
  }
  revoke_told_ = false;
  key_watch_.Reset();
  reopening_.NoteOpened(parts_.clock.Now());
  // Nodes that were opened together spread over the interval at once.
  ProbeIn(Timing().interval * Share(parts_.random));
  if (const auto info = opened_->GetInfo(); info.ok()) {
    memory_->KeepRing(*info, [&](Memory& memory) {
      memory.store_generation = std::max(memory.store_generation, opened_->generation());
      memory.doomed_key.clear();
      memory.doomed_at = absl::InfiniteFuture();
    });
  }
  KeyIsUsable();
  if (users_known) {
    door_->UsersKnown();
  } else {
    door_->Shut(Cause::kUnavailable, "the SQL users are being brought up to date; try again in a moment",
                true);
  }
  door_->EngineUp();
  following_->StoreIsOpen();
}

void Running::KeyIsUsable() {
  const absl::Time now = parts_.clock.Now();
  const std::string failure = memory_->Now().cmek_failure;
  board_.Unwarn(WarningOf::kKey);
  const wire::NodeStatus told = board_.Now();
  const auto change = [&](wire::NodeStatus& status) {
    status.last_probe_at = Stamp(now);
    status.lock.reset();
    status.failure = failure;
  };
  if (!told.lock && told.failure == failure && now < told_usable_ + kUsableAgain) return board_.Note(change);
  told_usable_ = now;
  board_.Change(change);
}

// A refusal locks when it is confirmed; what may be a fault on the way is borne for the grace.
std::optional<Event> Running::Probe() {
  Status status = opened_->Probe();
  if (!status.ok() && CauseOf(status) == Cause::kConflict) status = opened_->Probe();
  const Verdict verdict = key_watch_.Judge(status, parts_.clock.Now(), Timing());
  ProbeIn(verdict.next);
  if (verdict.kind == Verdict::kUsable) {
    KeyIsUsable();
    return Event::kKeyUsable;
  }
  trouble_ = status;
  if (verdict.locks_at != absl::InfiniteFuture()) KeyIsSilent(status, verdict);
  return verdict.kind == Verdict::kLost ? std::optional(Event::kKeyLost) : std::nullopt;
}

void Running::KeyIsSilent(const Status& status, const Verdict& verdict) {
  const absl::Time now = parts_.clock.Now();
  if (now >= logged_silence_ + kLogAgain) {
    logged_silence_ = now;
    spdlog::warn("node: {}; serving until {}", std::string(status.message()), Stamp(verdict.locks_at));
  }
  board_.Warn(WarningOf::kKey, {TroubleOf(status, verdict.since), Stamp(verdict.locks_at)});
}

wire::Trouble Running::Why(Event because) const {
  const absl::Time now = parts_.clock.Now();
  if (because == Event::kStopAsked) return {"", "the node is stopping", Stamp(now)};
  if (because != Event::kRevokeAsked) return TroubleOf(trouble_, now);
  return {kRevoked,
          "access to the cluster's data was revoked (CMEK REVOKE); update its CMEK key spec to bring it back",
          Stamp(now)};
}

// Why nobody is served, for SQL clients and in the status.
void Running::Tell(Event because) {
  wire::Trouble why = Why(because);
  if (because == Event::kStopAsked) return door_->Shut(Cause::kUnavailable, why.message, true);
  const bool revoked = because == Event::kRevokeAsked;
  if (revoked) revoke_told_ = true;
  const std::optional<wire::Trouble> told = board_.Now().lock;
  if (told && told->cause == why.cause) {
    if (told->message == why.message) return;
    why.since = told->since;
  }
  door_->Shut(revoked ? Cause::kKmsDenied : CauseOf(trouble_), why.message, true);
  const std::string failure = because == Event::kBroken ? why.message : memory_->Now().cmek_failure;
  board_.Unwarn(WarningOf::kKey);
  board_.Unwarn(WarningOf::kUsers);
  board_.Change([&](wire::NodeStatus& status) {
    if (revoked) status.cmek_status = opened_ == nullptr ? kRevoked : "REVOKING";
    status.failure = failure;
    status.lock = why;
  });
}

// Sessions first: nobody is served while the rest is taken down.
std::optional<Event> Running::Close(Event because) {
  Tell(because);
  const std::shared_ptr<Opened> opened = OpenedNow();
  if (opened != nullptr) {
    const Status closed = opened->Close();
    if (!closed.ok()) spdlog::warn("node: {}", std::string(closed.message()));
    {
      const std::lock_guard lock(mutex_);
      opened_.reset();
    }
    memory_->Keep([&](Memory& memory) {
      memory.store_generation = std::max(memory.store_generation, opened->generation());
      memory.reencryption = AsLeft(board_.Now().reencryption);
    });
    following_->TellReencryption(memory_->Now().reencryption);
    if (because == Event::kKeyLost || because == Event::kBroken) LookAgain(because);
  }
  key_watch_.Reset();
  if (because == Event::kRevokeAsked)
    board_.Change([](wire::NodeStatus& status) { status.cmek_status = kRevoked; });
  return because == Event::kBroken ? std::nullopt : std::optional(Event::kDone);
}

// Closed because of trouble_: what is behind it, and when to try again.
void Running::LookAgain(Event because) {
  ring_file_.Look();
  KnowDoom();
  Tell(because);
  TryAgainLater();
}

std::optional<Event> Running::RestartEngine() {
  const absl::Time now = parts_.clock.Now();
  std::erase_if(engine_ends_, [&](absl::Time end) { return end < now - kEngineWindow; });
  engine_ends_.push_back(now);
  door_->Shut(Cause::kUnavailable, "the database has stopped and is being restarted; try again in a moment",
              false);
  if (engine_ends_.size() > kEngineRestarts) {
    trouble_ = Error(Cause::kUnavailable, "PostgreSQL ended " + std::to_string(engine_ends_.size()) +
                                              " times within a minute; the node's log says why");
    return Event::kBroken;
  }
  spdlog::warn("node: PostgreSQL ended by itself; starting it again");
  if (trouble_ = opened_->RestartEngine(); !trouble_.ok()) return Event::kBroken;
  door_->EngineUp();
  following_->EngineIsNew();
  return std::nullopt;
}

// Takes up a new desired state; what takes time goes to the threads that may wait.
void Running::Follow() {
  const wire::DesiredNode desired = Desired();
  CheckPast(desired);
  if (desired.generation == followed_) return;
  if (const Status status = door_->gateway().SetAllowlist(desired.allowlist); !status.ok()) {
    spdlog::error("node: {}", std::string(status.message()));
  }
  followed_ = desired.generation;
  if (opened_ != nullptr) return following_->DesiredIsNew();
  if (!desired.revoked) revoke_told_ = false;
  board_.Change([&](wire::NodeStatus& status) { status.observed_generation = desired.generation; });
  // A closed node looks at its key at once when it is told of a new one.
  const bool news = desired.cmek.has_value() && desired.cmek->generation > memory_->Now().cmek_generation;
  if (news && !desired.revoked) ProbeIn(absl::ZeroDuration());
}

Past Running::PastNow() {
  const Memory memory = memory_->Now();
  const wire::DesiredNode desired = Desired();
  return {std::max(memory.key_ring_epoch, desired.min_key_ring_epoch),
          std::max(memory.store_generation, desired.min_store_generation)};
}

// The server knows of a later past than what was opened while it could not be asked.
void Running::CheckPast(const wire::DesiredNode& desired) {
  const Memory memory = memory_->Now();
  outdated_ = opened_ != nullptr && (desired.min_key_ring_epoch > memory.key_ring_epoch ||
                                     desired.min_store_generation > memory.store_generation);
  if (!outdated_) return;
  trouble_ = OlderCopy({desired.min_key_ring_epoch, desired.min_store_generation},
                       {memory.key_ring_epoch, memory.store_generation});
}

void Running::RenewCertificate() {
  next_certificate_check_ = parts_.clock.Now() + kCertificateCheck;
  const auto certificate = EnsureCertificate(options_.dir + "/tls", parts_.clock);
  Status status = certificate.status();
  if (certificate.ok()) {
    if (certificate->certificate_pem == certificate_.certificate_pem) return;
    status = door_->gateway().RenewCertificate(certificate->certificate_path, certificate->key_path);
  }
  if (!status.ok()) return spdlog::error("node: {}", std::string(status.message()));
  spdlog::info("node: the gateway's certificate was renewed");
  certificate_ = *certificate;
  board_.Change([&](wire::NodeStatus& now) { now.ca_pem = certificate_.ca_pem; });
}

}  // namespace

StatusOr<std::unique_ptr<Node>> Node::Start(const NodeOptions& options, const NodeParts& parts) {
  auto node = std::make_unique<Running>(options, parts);
  KEYHOLD_RETURN_IF_ERROR(node->Start());
  return std::unique_ptr<Node>(std::move(node));
}

}  // namespace keyhold::node
