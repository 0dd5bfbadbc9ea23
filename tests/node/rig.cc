#include "tests/node/rig.h"

#include <libpq-fe.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "keyring/keyring.h"

namespace keyhold::node {
namespace {

namespace fs = std::filesystem;

// $0.how says how to behave; every program is a shell script of PostgreSQL's user.
constexpr char kHow[] = R"sh(#!/bin/sh
case "$(cat "$0.how" 2>/dev/null)" in
  fail) exit 1 ;;
  hang) exec sleep 1000 ;;
esac
)sh";
constexpr char kInitdb[] = R"(echo 15 > "$2/PG_VERSION"
)";
constexpr char kPostgres[] = R"(trap 'exit 0' INT TERM QUIT
printf '%s\n\n\n\n\n\n\nready\n' $$ > "$2/postmaster.pid"
while :; do sleep 1000 & wait $!; done
)";
constexpr char kPsql[] = "cat > /dev/null\n";

class Scripted final : public kms::Kms {
 public:
  Scripted(kms::KeySpec spec, std::shared_ptr<ScriptedKms::Key> key)
      : spec_(std::move(spec)),
        key_(std::move(key)),
        bytes_(crypto::Sha256(crypto::AsBytes("kek " + spec_.uri))) {}

  const kms::KeySpec& Spec() const override { return spec_; }

  StatusOr<kms::Wrapped> Wrap(crypto::Bytes secret, const kms::Context& context, absl::Duration) override {
    KEYHOLD_RETURN_IF_ERROR(Answered());
    return kms::Wrapped{
        crypto::SealBox(bytes_, crypto::SystemRandom(), crypto::AsBytes(Text(context)), secret), ""};
  }

  StatusOr<crypto::SecretBytes> Unwrap(crypto::Bytes wrapped, const kms::Context& context,
                                       absl::Duration) override {
    KEYHOLD_RETURN_IF_ERROR(Answered());
    {
      const std::lock_guard lock(key_->mutex);
      if (key_->lies) return crypto::SystemRandom().Secret(32);
    }
    auto opened = crypto::OpenBox(bytes_, crypto::AsBytes(Text(context)), wrapped);
    if (!opened.ok()) return Error(Cause::kKmsCorrupt, "not wrapped by this key");
    return opened;
  }

  // A key that may not be used can be looked at all the same, where the KMS can be reached.
  StatusOr<kms::KeyDescription> Describe(absl::Duration) override {
    const Status status = Answered();
    if (!status.ok() && !IsRevocation(CauseOf(status))) return status;
    const std::lock_guard lock(key_->mutex);
    return key_->description;
  }

  kms::CheckReport Check(std::string_view, const kms::Context&, absl::Duration) override {
    const Status status = Answered();
    return {{{"kms:Decrypt", status.ok(), status.ok() ? Cause::kInternal : CauseOf(status),
              std::string(status.message()), absl::Milliseconds(1)}}};
  }

 private:
  // Not under the lock: a script may wait.
  Status Answered() const {
    Script script;
    uint64_t call = 0;
    {
      const std::lock_guard lock(key_->mutex);
      script = key_->script;
      call = key_->calls++;
    }
    return script(call);
  }

  static std::string Text(const kms::Context& context) {
    std::string text;
    for (const auto& [name, value] : context) text += name + "=" + value + "\n";
    return text;
  }

  const kms::KeySpec spec_;
  const std::shared_ptr<ScriptedKms::Key> key_;
  const crypto::Sha256Digest bytes_;
};

// Mounts of the test are its own, and go with it whatever happens.
void EnterOwnNamespace() {
  static const bool entered =
      unshare(CLONE_NEWNS) == 0 && mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
  ASSERT_TRUE(entered) << "tests of a node run as root";
}

std::string SqlState(PGconn* connection) {
  // libpq tells the SQLSTATE of a refused connection in its verbose message alone: "FATAL:  57P03: ...".
  std::string message = PQerrorMessage(connection);
  const size_t fatal = message.find("FATAL:");
  return fatal == std::string::npos ? message : message.substr(fatal);
}

}  // namespace

std::shared_ptr<ScriptedKms::Key> ScriptedKms::At(const std::string& uri) const {
  const std::lock_guard lock(mutex_);
  auto& key = keys_[uri];
  if (key == nullptr) key = std::make_shared<Key>();
  return key;
}

StatusOr<std::unique_ptr<kms::Kms>> ScriptedKms::Open(const kms::KeySpec& spec) {
  return std::make_unique<Scripted>(spec, At(spec.uri));
}

void ScriptedKms::Answer(const std::string& uri, Script script) {
  const auto key = At(uri);
  const std::lock_guard lock(key->mutex);
  key->script = std::move(script);
}

void ScriptedKms::Lie(const std::string& uri, bool lies) {
  const auto key = At(uri);
  const std::lock_guard lock(key->mutex);
  key->lies = lies;
}

void ScriptedKms::Describe(const std::string& uri, const kms::KeyDescription& description) {
  const auto key = At(uri);
  const std::lock_guard lock(key->mutex);
  key->description = description;
}

uint64_t ScriptedKms::Calls(const std::string& uri) const {
  const auto key = At(uri);
  const std::lock_guard lock(key->mutex);
  return key->calls;
}

NodeTest::NodeTest() {
  EnterOwnNamespace();
  chmod(dir_.path().c_str(), 0755);
  options_.dir = dir_.File("node");
  options_.mountpoint = dir_.File("mount");
  options_.socket_dir = dir_.File("sockets");
  options_.postgres_bin = dir_.File("bin");
  for (const std::string& made :
       {options_.dir, options_.mountpoint, options_.socket_dir, options_.postgres_bin}) {
    mkdir(made.c_str(), 0755);
  }
  for (const auto& [name, text] : {std::pair("initdb", kInitdb), {"postgres", kPostgres}, {"psql", kPsql}}) {
    const std::string path = options_.postgres_bin + "/" + name;
    testing::WriteFile(path, std::string(kHow) + text);
    chmod(path.c_str(), 0755);
  }
  desired_.generation = 1;
  desired_.node_id = "0e9b8a52-0000-4000-8000-000000000001";
  desired_.cluster_id = "0e9b8a52-0000-4000-8000-000000000002";
  desired_.cluster_name = "test";
  desired_.cloud = "AWS";
  desired_.region = "us-east-1";
  desired_.sql_listen = "127.0.0.1:0";
  desired_.probe_interval_ms = 100;
  desired_.allowlist = {"127.0.0.0/8"};
}

NodeTest::~NodeTest() {
  Stop();
  umount2(options_.mountpoint.c_str(), MNT_DETACH);
}

void NodeTest::WriteDesired() const {
  testing::WriteFile(options_.dir + "/desired.json", wire::ToJson(desired_).dump());
}

void NodeTest::Start() {
  WriteDesired();
  auto node = Node::Start(options_, {SystemPosix(), clock_, crypto::SystemRandom(), kms_});
  ASSERT_TRUE(node.ok()) << node.status();
  node_ = *std::move(node);
}

void NodeTest::Serve() {
  Start();
  AwaitState(wire::NodeState::kServing);
  WantKey(kFirstKey);
  Await([](const wire::NodeStatus& s) { return s.cmek_status == "ENABLED"; }, "enabled key");
}

void NodeTest::Stop() { node_.reset(); }

void NodeTest::Want(const std::function<void(wire::DesiredNode&)>& change) {
  change(desired_);
  ++desired_.generation;
  WriteDesired();
  // The control socket is the way in: there is no other for an agent.
  const std::string command =
      "curl -sS --fail-with-body -X PUT -H 'Content-Type: application/json' --data-binary @" + options_.dir +
      "/desired.json --unix-socket " + options_.dir + "/run/control.sock http://node/desired > /dev/null";
  ASSERT_EQ(system(command.c_str()), 0);
}

void NodeTest::WantKey(const std::string& uri) {
  Want([&](wire::DesiredNode& desired) {
    const uint64_t generation = desired.cmek ? desired.cmek->generation + 1 : 1;
    desired.cmek = wire::DesiredCmek{generation, {"AWS_KMS", uri, ""}};
    desired.revoked = false;
  });
}

wire::NodeStatus NodeTest::Await(const std::function<bool(const wire::NodeStatus&)>& is,
                                 const std::string& what) {
  const absl::Time until = absl::Now() + absl::Seconds(20);
  wire::NodeStatus status = Status_();
  while (!is(status)) {
    if (absl::Now() > until) {
      status.ca_pem.clear();
      ADD_FAILURE() << "no " << what << ": " << wire::ToJson(status).dump();
      return status;
    }
    status = node_->AwaitStatus(status.version, absl::Seconds(1));
  }
  return status;
}

wire::NodeStatus NodeTest::AwaitState(wire::NodeState state) {
  return Await([&](const wire::NodeStatus& status) { return status.state == state; },
               std::string(wire::NodeStateName(state)));
}

wire::NodeStatus NodeTest::AwaitLock(Cause cause) {
  return Await(
      [&](const wire::NodeStatus& status) {
        return status.state == wire::NodeState::kLocked && status.lock &&
               status.lock->cause == CauseName(cause);
      },
      "lock because of " + std::string(CauseName(cause)));
}

std::string NodeTest::Sql() {
  const std::string address = Status_().sql_address;
  const std::string port = address.substr(address.rfind(':') + 1);
  const char* names[] = {"host", "port", "user", "dbname", "sslmode", "connect_timeout", nullptr};
  const char* values[] = {"127.0.0.1", port.c_str(), "maya", "defaultdb", "require", "10", nullptr};
  PGconn* connection = PQconnectdbParams(names, values, 0);
  std::string said = SqlState(connection);
  PQfinish(connection);
  return said;
}

// The gateway lets it through, and finds that nobody listens at the engine's socket.
bool NodeTest::LetIn() { return absl::StrContains(Sql(), "the database does not take connections now"); }

void NodeTest::AwaitLetIn() {
  const absl::Time until = absl::Now() + absl::Seconds(30);
  while (!LetIn()) ASSERT_LT(absl::Now(), until) << Sql();
}

void NodeTest::Make(const std::string& program, const std::string& how) {
  testing::WriteFile(options_.postgres_bin + "/" + program + ".how", how);
}

void NodeTest::KillEngine() {
  const std::string pid = testing::ReadFile(options_.mountpoint + "/data/postmaster.pid");
  ASSERT_EQ(kill(std::stoi(pid), SIGKILL), 0);
}

bool NodeTest::Mounted() const {
  return absl::StrContains(testing::ReadFile("/proc/self/mountinfo"), options_.mountpoint + " ");
}

}  // namespace keyhold::node
