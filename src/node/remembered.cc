#include "node/remembered.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "node/reencrypting.h"
#include "node/words.h"

namespace keyhold::node {

Remembered::Remembered(std::string dir, StatusBoard& board, Memory memory)
    : dir_(std::move(dir)), board_(board), memory_(std::move(memory)) {}

StatusOr<std::unique_ptr<Remembered>> Remembered::Load(const std::string& dir, StatusBoard& board) {
  KEYHOLD_ASSIGN_OR_RETURN(Memory memory, ReadMemory(dir));
  board.Change([&](wire::NodeStatus& status) { status.reencryption = memory.reencryption; });
  std::unique_ptr<Remembered> remembered(new Remembered(dir, board, std::move(memory)));
  const std::lock_guard lock(remembered->mutex_);
  remembered->Show();
  remembered->ShowCmek();
  return remembered;
}

Memory Remembered::Now() const {
  const std::lock_guard lock(mutex_);
  return memory_;
}

void Remembered::Keep(const std::function<void(Memory&)>& change) {
  const std::lock_guard lock(mutex_);
  change(memory_);
  if (const Status written = WriteMemory(dir_, memory_); !written.ok()) {
    spdlog::error("node: {}", std::string(written.message()));
  }
  Show();
}

void Remembered::KeepRing(const keyring::Info& info, const std::function<void(Memory&)>& change) {
  Keep([&](Memory& memory) {
    memory.key_ring_epoch = std::max(memory.key_ring_epoch, info.epoch);
    memory.keys = KeysOf(info);
    memory.reencryption = ReencryptionOf(info);
    memory.recovery = RecoveryOf(info);
    memory.accepted_at = info.accepted_at ? Stamp(*info.accepted_at) : "";
    if (memory.cmek_failure.empty()) memory.cmek_status = memory.keys.empty() ? "DISABLED" : "ENABLED";
    change(memory);
  });
  const std::lock_guard lock(mutex_);
  ShowCmek();
}

// mutex_ is held, as for ShowCmek().
void Remembered::Show() {
  board_.Tell(WarningOf::kRecoveryUsed, RecoveryTrouble(memory_.recovery));
  board_.Change([&](wire::NodeStatus& status) {
    status.keys = memory_.keys;
    status.recovery = memory_.recovery;
    status.accepted_at = memory_.accepted_at;
    status.key_ring_epoch = memory_.key_ring_epoch;
    status.store_generation = memory_.store_generation;
    status.cmek_generation = memory_.cmek_generation;
  });
}

// While the node is open: a closed one tells why it is.
void Remembered::ShowCmek() {
  board_.Change([&](wire::NodeStatus& status) {
    status.cmek_status = memory_.cmek_status;
    status.failure = memory_.cmek_failure;
  });
}

}  // namespace keyhold::node
