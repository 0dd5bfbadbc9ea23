#include "node/background.h"

#include <algorithm>
#include <utility>

namespace keyhold::node {
namespace {

constexpr absl::Duration kLongest = absl::Hours(1);  // a condition's wait must not overflow

}  // namespace

Background::Background(std::function<absl::Duration()> work)
    : work_(std::move(work)), thread_([this] { Run(); }) {}

Background::~Background() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Background::Wake() {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
  }
  changed_.notify_all();
}

void Background::Run() {
  absl::Duration again = absl::InfiniteDuration();
  std::unique_lock lock(mutex_);
  while (true) {
    const auto ready = [this] { return woken_ || ending_; };
    const bool told = changed_.wait_for(lock, absl::ToChronoMilliseconds(std::min(again, kLongest)), ready);
    if (ending_) return;
    if (!told && again == absl::InfiniteDuration()) continue;
    woken_ = false;
    lock.unlock();
    again = work_();
    lock.lock();
  }
}

}  // namespace keyhold::node
