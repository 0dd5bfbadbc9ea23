#include "base/socket_address.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "tests/base/temp_dir.h"

namespace keyhold {
namespace {

TEST(SocketAddress, FitsWhateverThePathIs) {
  const testing::TempDir dir;
  const std::string deep = dir.File(std::string(150, 'd'));
  ASSERT_EQ(mkdir(deep.c_str(), 0700), 0);
  const auto address = SocketAddress::Of(deep + "/s.sock");
  ASSERT_TRUE(address.ok()) << address.status();
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  ASSERT_LT(address->text().size(), sizeof name.sun_path);
  std::strcpy(name.sun_path, address->text().c_str());
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  EXPECT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name), 0) << std::strerror(errno);
  EXPECT_TRUE(std::filesystem::is_socket(deep + "/s.sock"));
  close(fd);
}

TEST(SocketAddress, NeedsItsDirectory) {
  const testing::TempDir dir;
  const auto address = SocketAddress::Of(dir.File("none") + "/s.sock");
  EXPECT_EQ(CauseOf(address.status()), Cause::kIo);
  EXPECT_EQ(ErrnoOf(address.status()), ENOENT);
}

}  // namespace
}  // namespace keyhold
