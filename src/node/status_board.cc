#include "node/status_board.h"

namespace keyhold::node {
namespace {

bool Same(const Warning& a, const Warning& b) { return a.trouble == b.trouble && a.locks_at == b.locks_at; }

}  // namespace

void StatusBoard::Change(const std::function<void(wire::NodeStatus&)>& change) {
  const std::lock_guard lock(mutex_);
  change(status_);
  ++status_.version;
  changed_.notify_all();
}

void StatusBoard::Note(const std::function<void(wire::NodeStatus&)>& change) {
  const std::lock_guard lock(mutex_);
  change(status_);
}

void StatusBoard::ShowWarning() {
  status_.warning.reset();
  status_.locks_at.clear();
  for (const std::optional<Warning>& warning : warnings_) {
    if (!warning) continue;
    status_.warning = warning->trouble;
    status_.locks_at = warning->locks_at;
    break;
  }
  ++status_.version;
  changed_.notify_all();
}

void StatusBoard::Warn(WarningOf what, const Warning& warning) {
  const std::lock_guard lock(mutex_);
  std::optional<Warning>& shown = warnings_[static_cast<int>(what)];
  if (shown && Same(*shown, warning)) return;
  shown = warning;
  ShowWarning();
}

void StatusBoard::Unwarn(WarningOf what) {
  const std::lock_guard lock(mutex_);
  std::optional<Warning>& shown = warnings_[static_cast<int>(what)];
  if (!shown) return;
  shown.reset();
  ShowWarning();
}

void StatusBoard::Tell(WarningOf what, const std::optional<wire::Trouble>& trouble) {
  if (trouble) return Warn(what, {*trouble, ""});
  Unwarn(what);
}

wire::NodeStatus StatusBoard::Now() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

wire::NodeStatus StatusBoard::Await(uint64_t after, absl::Duration wait) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, absl::ToChronoMilliseconds(wait),
                    [&] { return status_.version > after || waits_over_; });
  return status_;
}

void StatusBoard::AwaitState(wire::NodeState state) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return status_.state == state || waits_over_; });
}

void StatusBoard::EndWaits() {
  const std::lock_guard lock(mutex_);
  waits_over_ = true;
  changed_.notify_all();
}

}  // namespace keyhold::node
