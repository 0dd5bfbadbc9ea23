// What tests of the store stand on: keys of their own and a context.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <mutex>

#include "store/context.h"

namespace keyhold::testing {

// Data keys 1, 2, ... that differ in their bytes.
class TestKeys final : public keyring::DataKeySource {
 public:
  keyring::DataKeyId Active() const override { return active_; }
  StatusOr<keyring::DataKey> Find(keyring::DataKeyId id) const override {
    if (id == 0 || id > active_) return Error(Cause::kNotFound, "no such data key");
    if (destroyed_.contains(id)) return Error(Cause::kFailedPrecondition, "the data key was destroyed");
    return keyring::DataKey::From(
        crypto::SecretBytes::CopyOf(crypto::AsBytes(std::string(32, char('k' + id)))));
  }
  StatusOr<keyring::DataKeyId> KeyToSeal(uint64_t count) const override {
    const std::lock_guard lock(mutex_);
    if (seals_[active_] + count > limit_) return Error(Cause::kResourceExhausted, "too many seals");
    seals_[active_] += count;
    return active_;
  }
  uint64_t seals(keyring::DataKeyId id) const {
    const std::lock_guard lock(mutex_);
    return seals_[id];
  }
  void Limit(uint64_t seals) { limit_ = seals; }
  void Add() { ++active_; }
  void Destroy(keyring::DataKeyId id) { destroyed_[id] = true; }

 private:
  keyring::DataKeyId active_ = 1;
  std::map<keyring::DataKeyId, bool> destroyed_;
  mutable std::mutex mutex_;
  mutable std::map<keyring::DataKeyId, uint64_t> seals_;  // guarded by mutex_
  uint64_t limit_ = UINT64_MAX;
};

// An empty file that goes with its object. Not on tmpfs: the store wants extended attributes.
class TempFile {
 public:
  TempFile() {
    char path[] = "/var/tmp/keyhold-store-XXXXXX";
    fd_ = mkstemp(path);
    unlink(path);
  }
  ~TempFile() { close(fd_); }
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

class StoreFixture : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(crypto::InitSecretMemory().ok()); }

  TestKeys keys_;
  store::WriteCounter counter_{SystemClock()};
  store::Context context_{SystemPosix(), crypto::SystemRandom(), keys_, counter_};
};

}  // namespace keyhold::testing
