// A real node for tests: its own store on a real mount, the real gateway, a scripted KMS, a clock that can be
// moved on, and in PostgreSQL's place programs that start at once and do as they are told.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "absl/time/clock.h"
#include "kms/kms.h"
#include "node/node.h"
#include "tests/base/temp_dir.h"

namespace keyhold::node {

inline constexpr char kFirstKey[] =
    "arn:aws:kms:us-east-1:111122223333:key/11111111-1111-4111-8111-111111111111";
inline constexpr char kSecondKey[] =
    "arn:aws:kms:us-east-1:111122223333:key/22222222-2222-4222-8222-222222222222";

// The machine's time, and what tests add to it.
class MovedClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::Now() + absl::Microseconds(moved_.load()); }
  void Advance(absl::Duration duration) { moved_ += absl::ToInt64Microseconds(duration); }

 private:
  std::atomic<int64_t> moved_ = 0;
};

// What the KMS says to a call, before it does anything. `call` counts the calls to this key, from 0.
using Script = std::function<Status(uint64_t call)>;

// Keys in memory, by URI; NULL_KMS is one of them. A script per key decides how they answer.
class ScriptedKms final : public kms::KmsProvider {
 public:
  StatusOr<std::unique_ptr<kms::Kms>> Open(const kms::KeySpec& spec) override;

  void Answer(const std::string& uri, Script script);
  void Answer(const std::string& uri, const Status& status) {
    Answer(uri, [status](uint64_t) { return status; });
  }
  void Work(const std::string& uri) { Answer(uri, OkStatus()); }
  // Unwraps to another key than was wrapped.
  void Lie(const std::string& uri, bool lies);
  void Describe(const std::string& uri, const kms::KeyDescription& description);
  uint64_t Calls(const std::string& uri) const;

  struct Key {
    std::mutex mutex;
    Script script = [](uint64_t) { return OkStatus(); };
    uint64_t calls = 0;
    bool lies = false;
    kms::KeyDescription description;
  };

 private:
  std::shared_ptr<Key> At(const std::string& uri) const;
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::shared_ptr<Key>> keys_;
};

class NodeTest : public ::testing::Test {
 protected:
  NodeTest();
  ~NodeTest() override;

  void Start();
  // Until it serves under kFirstKey.
  void Serve();
  // As kill -9 leaves it where the store is concerned, but for what is in memory: nothing is told, and the
  // next Start() goes on from the files.
  void Stop();

  // A new generation of what is wanted, after `change`.
  void Want(const std::function<void(wire::DesiredNode&)>& change);
  void WantKey(const std::string& uri);
  // A PUT that changes nothing: what wakes the node after its clock was moved.
  void Nudge() {
    Want([](wire::DesiredNode&) {});
  }

  // The first status, from now on, of which `is` is true; the test fails after 30 s.
  wire::NodeStatus Await(const std::function<bool(const wire::NodeStatus&)>& is, const std::string& what);
  wire::NodeStatus AwaitState(wire::NodeState state);
  wire::NodeStatus AwaitLock(Cause cause);
  wire::NodeStatus Status_() { return node_->AwaitStatus(0, absl::ZeroDuration()); }

  // What a client of the gateway is told, "SQLSTATE: message": of PostgreSQL that is not there when it is let
  // in.
  std::string Sql();
  bool LetIn();
  void AwaitLetIn();

  // Programs that behave otherwise from now on: "initdb", "postgres", "psql"; how: "fail", "hang", "".
  void Make(const std::string& program, const std::string& how);
  void KillEngine();
  bool Mounted() const;

  testing::TempDir dir_;
  MovedClock clock_;
  ScriptedKms kms_;
  wire::DesiredNode desired_;
  NodeOptions options_;
  std::unique_ptr<Node> node_;

 private:
  void WriteDesired() const;
};

}  // namespace keyhold::node
