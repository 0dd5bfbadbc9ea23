// What the tests of the POSIX suite stand on: a folder of their own in the place under test.
#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <string>
#include <vector>

#include "tests/mount/place.h"

// The call fails, with this errno.
#define EXPECT_ERRNO(call, error) \
  do {                            \
    errno = 0;                    \
    EXPECT_EQ(call, -1);          \
    EXPECT_EQ(errno, error);      \
  } while (false)
#define ASSERT_SYS(call) ASSERT_NE(call, -1) << strerror(errno)
#define EXPECT_SYS(call) EXPECT_NE(call, -1) << strerror(errno)

namespace keyhold::testing {

inline constexpr uid_t kNobody = 65534;

// Closes itself.
class Fd {
 public:
  Fd(const std::string& path, int flags, mode_t mode = 0644)
      : fd_(open(path.c_str(), flags | O_CLOEXEC, mode)) {
    EXPECT_GE(fd_, 0) << path << ": " << strerror(errno);
  }
  ~Fd() { Close(); }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  operator int() const { return fd_; }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

struct Given {
  std::string helper;
  std::vector<std::string> helper_flags;
};
// Set by main().
Given& TheGiven();
// The place where all tests but those of full disks work; made by main().
Place*& ThePlace();

class Posix : public ::testing::Test {
 protected:
  void SetUp() override;
  std::string In(const std::string& name) const { return dir_ + "/" + name; }
  void Put(const std::string& name, const std::string& content) const;
  std::string Get(const std::string& name) const;
  struct stat Stat(const std::string& name) const;
  std::vector<std::string> Names(const std::string& folder = "") const;

  std::string dir_;
};

// Runs `work` in a process of its own; its result (at most 255).
int InChild(const std::function<int()>& work);
// The same as another user: 0, or the errno that `work` returns.
int AsNobody(const std::function<int()>& work);
// For those: 0 or errno.
inline int ErrnoOfCall(long result) { return result == -1 ? errno : 0; }

}  // namespace keyhold::testing
