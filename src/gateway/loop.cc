#include "gateway/loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>

namespace keyhold::gateway {
namespace {

constexpr uint64_t kWakeTag = 0;  // no watcher has the id 0
constexpr size_t kBatch = 128;
constexpr uint32_t kReadable = EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR;
constexpr uint32_t kWritable = EPOLLOUT | EPOLLHUP | EPOLLERR;

}  // namespace

StatusOr<std::unique_ptr<Loop>> Loop::Make() {
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) return ErrnoError(errno, "making an epoll descriptor");
  const int wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  epoll_event event{.events = EPOLLIN, .data = {.u64 = kWakeTag}};
  if (wake >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, wake, &event) == 0) {
    return std::unique_ptr<Loop>(new Loop(epoll, wake));
  }
  const int error = errno;
  close(epoll);
  if (wake >= 0) close(wake);
  return ErrnoError(error, "making an event descriptor");
}

Loop::~Loop() {
  close(wake_);
  close(epoll_);
}

void Loop::Run() {
  std::array<epoll_event, kBatch> events;
  while (!stopped_) {
    const int count = epoll_wait(epoll_, events.data(), kBatch, Timeout());
    for (int i = 0; i < count; ++i) Deliver(events[i].data.u64, events[i].events);
    Expire();
    DoAgain();
  }
}

int Loop::Timeout() const {
  if (!again_.empty()) return 0;
  if (deadlines_.empty()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadlines_.begin()->first - Clock::now());
  return static_cast<int>(std::clamp<int64_t>(left.count(), 0, INT_MAX));
}

void Loop::Deliver(uint64_t tag, uint32_t events) {
  if (tag == kWakeTag) {
    uint64_t count = 0;
    if (read(wake_, &count, sizeof count) > 0) DoPosted();
    return;
  }
  const auto found = enrolled_.find(tag >> 1);
  if (found == enrolled_.end()) return;  // it left while this event was on its way
  found->second.watcher->Ready(static_cast<int>(tag & 1), (events & kReadable) != 0,
                               (events & kWritable) != 0);
}

void Loop::Expire() {
  const Clock::time_point now = deadlines_.empty() ? Clock::time_point() : Clock::now();
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const uint64_t id = deadlines_.begin()->second;
    ClearDeadline(id);
    enrolled_.at(id).watcher->Expired();
  }
}

void Loop::DoPosted() {
  std::vector<std::function<void()>> work;
  {
    const std::lock_guard lock(mutex_);
    work.swap(posted_);
  }
  for (const auto& one : work) one();
}

void Loop::DoAgain() {
  std::vector<std::function<void()>> work;
  work.swap(again_);
  for (const auto& one : work) one();
}

void Loop::Post(std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  posted_.push_back(std::move(work));
  // It can only fail when the counter is full: then the loop is awake.
  const uint64_t one = 1;
  if (posted_.size() == 1 && write(wake_, &one, sizeof one) < 0) return;
}

void Loop::Stop() {
  Post([this] { stopped_ = true; });
}

uint64_t Loop::Enroll(Watcher* watcher) {
  enrolled_[next_id_] = {watcher, {}};
  return next_id_++;
}

void Loop::Leave(uint64_t id) {
  ClearDeadline(id);
  enrolled_.erase(id);
}

Status Loop::Control(int operation, uint64_t tag, int fd, uint32_t events) {
  epoll_event event{.events = events | EPOLLIN | EPOLLRDHUP | EPOLLET, .data = {.u64 = tag}};
  if (epoll_ctl(epoll_, operation, fd, &event) == 0) return OkStatus();
  return ErrnoError(errno, "watching a connection");
}

Status Loop::Watch(uint64_t id, int which, int fd) {
  return Control(EPOLL_CTL_ADD, id << 1 | static_cast<uint64_t>(which), fd, 0);
}

// Told anew of what it asks for: a change is never missed.
Status Loop::WatchWritable(uint64_t id, int which, int fd, bool on) {
  return Control(EPOLL_CTL_MOD, id << 1 | static_cast<uint64_t>(which), fd, on ? uint32_t{EPOLLOUT} : 0);
}

void Loop::SetDeadline(uint64_t id, std::chrono::milliseconds from_now) {
  ClearDeadline(id);
  Enrolled& enrolled = enrolled_.at(id);
  enrolled.deadline = Clock::now() + from_now;
  deadlines_.emplace(enrolled.deadline, id);
}

void Loop::ClearDeadline(uint64_t id) {
  const auto found = enrolled_.find(id);
  if (found == enrolled_.end() || found->second.deadline == Clock::time_point()) return;
  deadlines_.erase({found->second.deadline, id});
  found->second.deadline = {};
}

}  // namespace keyhold::gateway
