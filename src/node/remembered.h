// What a node must not forget, for all its threads: in memory, in state.json and in its status at once.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "keyring/keyring.h"
#include "node/memory.h"
#include "node/status_board.h"

namespace keyhold::node {

// Safe to use from any thread.
class Remembered {
 public:
  // What state.json in `dir` has is told on `board`, which outlives this. Errors of ReadMemory().
  static StatusOr<std::unique_ptr<Remembered>> Load(const std::string& dir, StatusBoard& board);

  Memory Now() const;

  // What cannot be written is logged, and holds until the node ends. `change` may call nothing of this
  // object.
  void Keep(const std::function<void(Memory&)>& change);

  // What the key ring says now, kept for when it is closed, and `change` after it.
  void KeepRing(const keyring::Info& info, const std::function<void(Memory&)>& change);

 private:
  Remembered(std::string dir, StatusBoard& board, Memory memory);
  void Show();
  void ShowCmek();

  const std::string dir_;
  StatusBoard& board_;
  mutable std::mutex mutex_;
  Memory memory_;  // guarded by mutex_
};

}  // namespace keyhold::node
