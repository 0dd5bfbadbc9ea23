// The event loop and what it asks of a channel: to know when a socket is empty.
#include "gateway/loop.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <thread>

#include "gateway/tls.h"
#include "tests/gateway/cluster.h"

namespace keyhold::gateway {
namespace {

using std::chrono::milliseconds;

// Two ends that do not block.
struct Pair {
  Pair() { EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()), 0); }
  ~Pair() {
    close(ends[0]);
    if (ends[1] >= 0) close(ends[1]);
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;
  std::array<int, 2> ends{};
};

struct Recorder : Watcher {
  std::function<void(int, bool, bool)> ready = [](int, bool, bool) {};
  std::function<void()> expired = [] {};
  void Ready(int which, bool readable, bool writable) override { ready(which, readable, writable); }
  void Expired() override { expired(); }
};

class LoopTest : public ::testing::Test {
 protected:
  LoopTest() : loop_(*Loop::Make()) {}
  void Say(int fd, const std::string& text) {
    ASSERT_EQ(write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  std::string Hear(int fd) {
    char text[64];
    const ssize_t got = read(fd, text, sizeof text);
    return got < 0 ? "nothing" : std::string(text, static_cast<size_t>(got));
  }

  std::unique_ptr<Loop> loop_;
  Recorder watcher_;
  Pair pair_;
};

TEST_F(LoopTest, TellsEachArrivalOnceAndTheEnd) {
  std::string heard;
  watcher_.ready = [&](int which, bool readable, bool) {
    EXPECT_EQ(which, 1);
    EXPECT_TRUE(readable);
    heard += Hear(pair_.ends[0]) + ",";
    if (heard == "one,") Say(pair_.ends[1], "two");
    if (heard == "one,two,") close(std::exchange(pair_.ends[1], -1));
    if (heard == "one,two,,") loop_->Stop();
  };
  ASSERT_TRUE(loop_->Watch(loop_->Enroll(&watcher_), 1, pair_.ends[0]).ok());
  Say(pair_.ends[1], "one");
  loop_->Run();
  EXPECT_EQ(heard, "one,two,,");
}

TEST_F(LoopTest, TellsOfWritabilityOnlyWhoAsks) {
  int writable_calls = 0;
  const uint64_t id = loop_->Enroll(&watcher_);
  watcher_.ready = [&](int, bool readable, bool writable) {
    if (readable) {
      EXPECT_FALSE(writable);
      ASSERT_TRUE(loop_->WatchWritable(id, 0, pair_.ends[0], true).ok());
    } else {
      EXPECT_TRUE(writable);
      ++writable_calls;
      ASSERT_TRUE(loop_->WatchWritable(id, 0, pair_.ends[0], false).ok());
      loop_->Stop();
    }
    Hear(pair_.ends[0]);
  };
  ASSERT_TRUE(loop_->Watch(id, 0, pair_.ends[0]).ok());
  Say(pair_.ends[1], "go");
  loop_->Run();
  EXPECT_EQ(writable_calls, 1);
}

TEST_F(LoopTest, WhoHasLeftIsNotCalled) {
  Pair other;
  Recorder second;
  const uint64_t first_id = loop_->Enroll(&watcher_);
  const uint64_t second_id = loop_->Enroll(&second);
  int calls = 0;
  // Both are ready in one batch; whoever comes first sends the other away.
  const auto leave = [&](uint64_t id) {
    return [&, id](int, bool, bool) {
      ++calls;
      loop_->Leave(id);
      loop_->Stop();
    };
  };
  watcher_.ready = leave(second_id);
  second.ready = leave(first_id);
  ASSERT_TRUE(loop_->Watch(first_id, 0, pair_.ends[0]).ok());
  ASSERT_TRUE(loop_->Watch(second_id, 0, other.ends[0]).ok());
  Say(pair_.ends[1], "x");
  Say(other.ends[1], "x");
  loop_->Run();
  EXPECT_EQ(calls, 1);
}

TEST_F(LoopTest, DeadlinesComeInOrderAndCanBeMovedAndTakenBack) {
  std::string order;
  std::array<Recorder, 3> watchers;
  std::array<uint64_t, 3> ids{};
  for (size_t i = 0; i < watchers.size(); ++i) {
    ids[i] = loop_->Enroll(&watchers[i]);
    watchers[i].expired = [&order, i, this] {
      order += std::to_string(i);
      if (order == "20") loop_->Stop();
    };
  }
  const auto start = std::chrono::steady_clock::now();
  loop_->SetDeadline(ids[0], milliseconds(1));
  loop_->SetDeadline(ids[1], milliseconds(2));
  loop_->SetDeadline(ids[2], milliseconds(10));
  loop_->SetDeadline(ids[0], milliseconds(30));
  loop_->ClearDeadline(ids[1]);
  loop_->Run();
  EXPECT_EQ(order, "20");
  EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(30));
}

TEST_F(LoopTest, WorkIsDoneInOrderFromAnyThread) {
  std::string order;
  std::thread poster([&] {
    loop_->Post([&] {
      order += "a";
      loop_->Again([&] {
        order += "c";
        loop_->Stop();
      });
      loop_->Post([&] { order += "d"; });
    });
    loop_->Post([&] { order += "b"; });
  });
  poster.join();  // both wait before Run(): else "c" may come between them
  loop_->Run();
  EXPECT_EQ(order.substr(0, 3), "abc");
}

TEST_F(LoopTest, ManyThreadsPostAndNothingIsLost) {
  constexpr int kThreads = 4;
  constexpr int kEach = 5000;
  int done = 0;
  std::vector<std::thread> posters;
  for (int i = 0; i < kThreads; ++i) {
    posters.emplace_back([&] {
      for (int k = 0; k < kEach; ++k) {
        loop_->Post([&] {
          if (++done == kThreads * kEach) loop_->Stop();
        });
      }
    });
  }
  loop_->Run();
  for (std::thread& poster : posters) poster.join();
  EXPECT_EQ(done, kThreads * kEach);
}

// A TLS session over a socket pair: the channel is the server's end.
class ChannelTest : public LoopTest {
 protected:
  ChannelTest() : channel_(pair_.ends[0]), context_(SSL_CTX_new(TLS_client_method())) {
    MakeCertificate(dir_);
    server_ = *MakeServerContext(dir_.File("cert.pem"), dir_.File("key.pem"));
    client_.reset(SSL_new(context_.get()));
    SSL_set_fd(client_.get(), pair_.ends[1]);
    EXPECT_TRUE(channel_.StartTls(server_.get()).ok());
    IoResult result = IoResult::kWantRead;
    for (int i = 0; i < 10 && result != IoResult::kDone; ++i) {
      SSL_connect(client_.get());
      result = channel_.Handshake();
    }
    EXPECT_EQ(result, IoResult::kDone);
    EXPECT_EQ(SSL_connect(client_.get()), 1);
  }
  void Send(size_t size) {
    const std::string text(size, 'x');
    size_t put = 0;
    ASSERT_EQ(SSL_write_ex(client_.get(), text.data(), size, &put), 1);
    ASSERT_EQ(put, size);
  }
  size_t Read() {
    size_t got = 0;
    return channel_.Read(buffer_.data(), buffer_.size(), &got) == IoResult::kDone ? got : 0;
  }

  TempDir dir_;
  ClientChannel channel_;
  SslContext context_;
  SslContext server_;
  std::unique_ptr<SSL, crypto::FreeBy<SSL_free>> client_;
  std::array<char, 1 << 16> buffer_{};
};

TEST_F(ChannelTest, IsDrainedBehindAShortRead) {
  Send(100);
  EXPECT_EQ(Read(), 100U);
  EXPECT_TRUE(channel_.Drained());
}

TEST_F(ChannelTest, IsNotDrainedWhileARecordWaits) {
  Send(100);
  Send(50);
  EXPECT_EQ(Read(), 100U);
  EXPECT_FALSE(channel_.Drained());
  EXPECT_EQ(Read(), 50U);
  EXPECT_TRUE(channel_.Drained());
}

// OpenSSL reads at most one buffer, and no event comes again for what it left in the socket. Whatever the
// size of that buffer is, some size of the second record ends at its end.
TEST_F(ChannelTest, WhenDrainedNothingIsLeftInTheSocket) {
  for (size_t second = 1; second < 700; ++second) {
    Send(16384);
    Send(second);
    Send(10);
    size_t total = 0;
    size_t got = 0;
    do {
      got = Read();  // nothing: it found the socket empty, which is an end too
      total += got;
    } while (got != 0 && !channel_.Drained());
    EXPECT_EQ(total, 16384 + second + 10) << second;
  }
}

TEST_F(ChannelTest, AClientThatIsGoneIsNoSignal) {
  client_.reset();
  close(std::exchange(pair_.ends[1], -1));
  size_t put = 0;
  EXPECT_EQ(channel_.Write("x", &put), IoResult::kFailed);
}

}  // namespace
}  // namespace keyhold::gateway
