// A disk that fails one call and then works again: the change is refused with the disk's own error, the ring
// in memory and in the file is as it was, and the same change succeeds when it is tried again.
#include <thread>

#include "tests/base/forwarding_posix.h"
#include "tests/keyring/fixture.h"

namespace keyhold::keyring {
namespace {

// Fails call number `at`, from 0, with `error`; no other.
class OneFault final : public testing::ForwardingPosix {
 public:
  OneFault(int at, int error) : at_(at), error_(error) {}
  bool happened() const { return calls_ > at_; }

  int OpenAt(int d, const char* p, int f, mode_t m) override {
    return Now() ? -error_ : ForwardingPosix::OpenAt(d, p, f, m);
  }
  ssize_t PRead(int fd, void* b, size_t n, off_t o) override {
    return Now() ? -error_ : ForwardingPosix::PRead(fd, b, n, o);
  }
  ssize_t PWrite(int fd, const void* b, size_t n, off_t o, int f) override {
    return Now() ? -error_ : ForwardingPosix::PWrite(fd, b, n, o, f);
  }
  int FSync(int fd) override { return Now() ? -error_ : ForwardingPosix::FSync(fd); }
  int Close(int fd) override {
    const int result = ForwardingPosix::Close(fd);
    return Now() ? -error_ : result;
  }
  int RenameAt2(int d, const char* p, int e, const char* q, unsigned f) override {
    return Now() ? -error_ : ForwardingPosix::RenameAt2(d, p, e, q, f);
  }

 private:
  bool Now() { return calls_++ == at_; }
  const int at_;
  const int error_;
  int calls_ = 0;
};

class FaultyRing : public Ring {
 protected:
  // `change` with the n-th call failing, for every n; the ring must be the old one or, where only the last
  // sync failed, the new one.
  template <typename Change>
  void FailAtEachCall(int error, Cause cause, Change change) {
    const std::string before = testing::ReadFile(dir_.File("keyring"));
    for (int at = 0;; ++at) {
      testing::WriteFile(dir_.File("keyring"), before);
      OneFault posix(at, error);
      auto ring = KeyRing::Open(At(posix), {identity_, 0}, kms_, kBudget);
      if (!ring.ok()) {
        EXPECT_EQ(CauseOf(ring.status()), cause) << ring.status();
        continue;
      }
      const uint64_t epoch = (*ring)->GetInfo().epoch;
      const DataKeyId active = (*ring)->Active();
      const Status status = change(**ring);
      if (!posix.happened()) {
        EXPECT_TRUE(status.ok()) << status;
        return;
      }
      if (status.ok()) continue;  // the close of a file that was only read
      EXPECT_EQ(CauseOf(status), cause) << status;
      EXPECT_EQ(ErrnoOf(status), error);
      EXPECT_EQ((*ring)->GetInfo().epoch, epoch);
      EXPECT_EQ((*ring)->Active(), active);
      EXPECT_FALSE(std::filesystem::exists(dir_.File("keyring.new"))) << "no leftover";
      EXPECT_TRUE(change(**ring).ok()) << "the fault has passed";
    }
  }
};

TEST_F(FaultyRing, FullDiskRefusesADataKey) {
  MakeRing();
  FailAtEachCall(ENOSPC, Cause::kResourceExhausted, [](KeyRing& ring) { return ring.AddDataKey().status(); });
}

TEST_F(FaultyRing, BrokenDiskRefusesARewrap) {
  MakeRing();
  FailAtEachCall(EIO, Cause::kIo, [&](KeyRing& ring) { return ring.Rewrap(next_, kBudget); });
}

TEST_F(FaultyRing, ReadOnlyDiskRefusesADestruction) {
  const auto ring = MakeRing();
  ASSERT_TRUE(ring->AddDataKey().ok());
  FailAtEachCall(EROFS, Cause::kIo, [](KeyRing& faulty) { return faulty.DestroyDataKey(1); });
}

TEST_F(FaultyRing, LinkInItsPlaceIsNotFollowed) {
  MakeRing();
  std::filesystem::rename(dir_.File("keyring"), dir_.File("elsewhere"));
  std::filesystem::create_symlink(dir_.File("elsewhere"), dir_.File("keyring"));
  EXPECT_EQ(ErrnoOf(Reopen(kms_).status()), ELOOP);
}

TEST_F(FaultyRing, LinkInTheScratchFilesPlaceIsNotFollowed) {
  const auto ring = MakeRing();
  testing::WriteFile(dir_.File("victim"), "mine");
  std::filesystem::create_symlink(dir_.File("victim"), dir_.File("keyring.new"));
  EXPECT_TRUE(ring->AddDataKey().ok());
  EXPECT_EQ(testing::ReadFile(dir_.File("victim")), "mine");
}

TEST_F(FaultyRing, ReadersSeeWholeStatesWhileItChanges) {
  const auto ring = MakeRing();
  const std::string first = Exposed(*ring, 1);
  std::atomic<bool> done = false;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!done) {
        // A key that was active once stays: it is only retired.
        if (!ring->Find(ring->Active()).ok() || Exposed(*ring, 1) != first) ++wrong;
        const Info info = ring->GetInfo();
        if (info.data_keys.back().state != DataKeyState::kActive || !info.keys.front().active) ++wrong;
      }
    });
  }
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(ring->Rewrap(i % 2 == 0 ? next_ : kms_, kBudget).ok());
    EXPECT_TRUE(ring->AddDataKey().ok());
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(FaultyRing, ChangesOfTwoThreadsBothCount) {
  const auto ring = MakeRing();
  std::vector<std::thread> writers;
  for (int i = 0; i < 4; ++i) {
    writers.emplace_back([&] {
      for (int j = 0; j < 10; ++j) EXPECT_TRUE(ring->AddDataKey().ok());
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(ring->Active(), 41U);
  const auto again = Reopen(kms_, 41);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ((*again)->GetInfo().data_keys.size(), 41U);
}

}  // namespace
}  // namespace keyhold::keyring
