// The port itself: which names it leads to itself, and what hostile clients get.
#include "localcloud/proxy.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "localcloud/connect_request.h"
#include "tests/localcloud/test_cloud.h"

namespace keyhold::localcloud {
namespace {

// Sends `text` as it stands and reads until the server closes.
std::string Raw(uint16_t port, const std::string& text) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  send(fd, text.data(), text.size(), MSG_NOSIGNAL);
  std::string answer;
  char buffer[4096];
  while (true) {
    ssize_t n = recv(fd, buffer, sizeof buffer, 0);
    if (n <= 0) break;
    answer.append(buffer, static_cast<size_t>(n));
  }
  close(fd);
  return answer;
}

std::string StatusLine(const std::string& answer) { return answer.substr(0, answer.find('\r')); }

TEST(ProxyTest, OtherNamesAndPortsAreRefusedAndNeverDialled) {
  TestCloud cloud;
  for (const char* target : {"example.com:443", "kms.us-east-1.amazonaws.com:80", "127.0.0.1:22",
                             "s3.us-east-1.amazonaws.com:443", "kms.us-east-1.amazonaws.com.evil.example:443",
                             "kms.evil.amazonaws.com:443", "amazonaws.com:443", "kms..amazonaws.com:443"}) {
    std::string answer = Raw(cloud.cloud().port(), std::string("CONNECT ") + target + " HTTP/1.1\r\n\r\n");
    EXPECT_EQ(StatusLine(answer), "HTTP/1.1 403 Forbidden") << target;
    EXPECT_NE(answer.find("does not stand for"), std::string::npos) << answer;
  }
}

TEST(ProxyTest, MalformedRequestsAreRefused) {
  TestCloud cloud;
  const std::pair<std::string, std::string> cases[] = {
      {"CONNECT kms.us-east-1.amazonaws.com HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request"},
      {"CONNECT :443 HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request"},
      {"CONNECT a\x01b:443 HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request"},
      {"CONNECT a:99999 HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request"},
      {"CONNECT a:443 HTTP/3\r\n\r\n", "HTTP/1.1 400 Bad Request"},
      {"\r\n\r\n", "HTTP/1.1 400 Bad Request"},
      {"GET http://kms.us-east-1.amazonaws.com/ HTTP/1.1\r\n\r\n", "HTTP/1.1 405 Method Not Allowed"},
      {"CONNECT a:443 HTTP/1.1\r\nX: " + std::string(65536 - 27, 'x'),
       "HTTP/1.1 431 Request Header Fields Too Large"},
  };
  for (const auto& [request, status] : cases) {
    EXPECT_EQ(StatusLine(Raw(cloud.cloud().port(), request)), status) << request.substr(0, 80);
  }
}

TEST(ProxyTest, ASlowClientIsCutOffAtTheDeadline) {
  TempDir temp;
  auto directory = Directory::Open(temp.path());
  ASSERT_TRUE(directory.ok());
  auto authority = CertificateAuthority::Open(*directory, SystemClock(), crypto::SystemRandom());
  ASSERT_TRUE(authority.ok()) << authority.status();
  ProxyLimits limits;
  limits.request = std::chrono::milliseconds(100);
  auto proxy = Proxy::Start(
      "127.0.0.1:0", [](const std::string&) { return HttpHandler(); }, **authority, limits);
  ASSERT_TRUE(proxy.ok()) << proxy.status();
  auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(Raw((*proxy)->port(), "CONNECT a:443 HTTP/1.1\r\n"), "");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

TEST(ProxyTest, AddressesThatAreNoneAreTold) {
  TempDir temp;
  for (const char* address : {"", "localhost", ":80", "127.0.0.1:x", "127.0.0.1:70000"}) {
    auto cloud = LocalCloud::Start({temp.path(), address}, SystemClock(), crypto::SystemRandom());
    EXPECT_EQ(CauseOf(cloud.status()), Cause::kInvalidArgument) << address;
  }
}

}  // namespace
}  // namespace keyhold::localcloud
