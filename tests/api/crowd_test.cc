#include "api/crowd.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

namespace keyhold::api {
namespace {

constexpr Crowd::Instant At(int seconds) { return Crowd::Instant(std::chrono::seconds(seconds)); }

// A connection, and whether it was shut down.
struct Ends {
  Ends() { EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds.data()), 0); }
  ~Ends() {
    for (const int fd : fds) close(fd);
  }
  int socket() const { return fds[0]; }
  bool is_cut() const {
    char byte = 0;
    return recv(fds[1], &byte, 1, 0) == 0;
  }
  std::array<int, 2> fds{};
};

class CrowdTest : public ::testing::Test {
 protected:
  CrowdTest() { crowd_.set_room(2); }
  Crowd crowd_;
  Ends one_, two_, three_;
};

TEST_F(CrowdTest, OfMoreThanThereIsRoomForTheOldestIsCut) {
  crowd_.Arrive();
  const Crowd::Waiting first(crowd_, one_.socket(), At(2));
  crowd_.Arrive();
  const Crowd::Waiting second(crowd_, two_.socket(), At(1));
  EXPECT_FALSE(one_.is_cut());
  EXPECT_FALSE(two_.is_cut());
  crowd_.Arrive();
  EXPECT_TRUE(two_.is_cut()) << "its request began first";
  const Crowd::Waiting third(crowd_, three_.socket(), At(3));
  EXPECT_FALSE(one_.is_cut()) << "one is enough, though it has not left yet";
  crowd_.Leave(two_.socket());
  crowd_.Arrive();
  EXPECT_TRUE(one_.is_cut());
}

TEST_F(CrowdTest, WhoBeginsToWaitWhileOthersWantRoomMakesIt) {
  for (int i = 0; i < 3; ++i) crowd_.Arrive();
  const Crowd::Waiting first(crowd_, one_.socket(), At(1));
  EXPECT_TRUE(one_.is_cut()) << "nobody waited when the third came";
  const Crowd::Waiting second(crowd_, two_.socket(), At(2));
  EXPECT_FALSE(two_.is_cut());
}

TEST_F(CrowdTest, WhoDoesNotWaitIsNotCut) {
  crowd_.Arrive();
  crowd_.Arrive();
  { const Crowd::Waiting over(crowd_, one_.socket(), At(1)); }
  crowd_.Arrive();
  EXPECT_FALSE(one_.is_cut());
}

}  // namespace
}  // namespace keyhold::api
