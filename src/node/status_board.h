// A node's status, where its threads write it and its readers wait for the next one.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>

#include "absl/time/time.h"
#include "wire/node.h"

namespace keyhold::node {

// Something that does not stop the node from serving. Of several the first of this list is told.
enum class WarningOf { kKey, kUsers, kRecoveryKey, kReencryption, kRecoveryUsed, kCount };

struct Warning {
  wire::Trouble trouble;
  std::string locks_at;  // empty: it does not lock because of it
};

// Safe to use from any thread.
class StatusBoard {
 public:
  // Versions grow from `first_version`, over restarts of the node too.
  explicit StatusBoard(uint64_t first_version) { status_.version = first_version; }

  // `change` may call nothing of this object.
  void Change(const std::function<void(wire::NodeStatus&)>& change);

  // For what changes all the time: who waits is not woken, and has it with the next change.
  void Note(const std::function<void(wire::NodeStatus&)>& change);

  // Nothing happens when it is told already, or was not told.
  void Warn(WarningOf what, const Warning& warning);
  void Unwarn(WarningOf what);
  // The one or the other; it does not lock because of it.
  void Tell(WarningOf what, const std::optional<wire::Trouble>& trouble);

  wire::NodeStatus Now() const;

  // The status once that is newer than version `after`, or when `wait` is over.
  wire::NodeStatus Await(uint64_t after, absl::Duration wait);
  void AwaitState(wire::NodeState state);

  // Ends every Await(), those to come as well.
  void EndWaits();

 private:
  void ShowWarning();

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  wire::NodeStatus status_;  // guarded by mutex_, as all below
  std::optional<Warning> warnings_[static_cast<int>(WarningOf::kCount)];
  bool waits_over_ = false;
};

}  // namespace keyhold::node
