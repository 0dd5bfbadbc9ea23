// What one client may take from the others: requests, guesses, connections, time.
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <fstream>

#include <cstdio>
#include <cstdlib>
#include <future>

#include "api/failed_logins.h"
#include "api/rate_limit.h"
#include "tests/api/api_fixture.h"

namespace keyhold::api {
namespace {

using nlohmann::json;

TEST(RateLimit, GivesASecondsRequestsAtOnceAndTheRestEvenly) {
  RateLimit limit(10);
  const absl::Time start = absl::FromUnixSeconds(1'000);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(limit.Take("a", start), absl::ZeroDuration());
  EXPECT_EQ(limit.Take("a", start), absl::Milliseconds(100));
  EXPECT_EQ(limit.Take("b", start), absl::ZeroDuration()) << "another key has its own";
  EXPECT_EQ(limit.Take("a", start + absl::Milliseconds(100)), absl::ZeroDuration());
  EXPECT_GT(limit.Take("a", start + absl::Milliseconds(100)), absl::ZeroDuration());
  EXPECT_GT(limit.Take("a", start - absl::Hours(1)), absl::ZeroDuration())
      << "a clock set back gives nothing";
  for (int i = 0; i < 10; ++i) EXPECT_EQ(limit.Take("a", start + absl::Hours(1)), absl::ZeroDuration()) << i;
  EXPECT_GT(limit.Take("a", start + absl::Hours(1)), absl::ZeroDuration());
}

TEST(RateLimit, ManyKeysAreForgotten) {
  RateLimit limit(1);
  const absl::Time start = absl::FromUnixSeconds(1'000);
  for (int i = 0; i < 5000; ++i) limit.Take(std::to_string(i), start + absl::Seconds(i));
  EXPECT_EQ(limit.Take("0", start + absl::Seconds(5000)), absl::ZeroDuration());
}

TEST(RateLimit, ZeroIsNone) {
  RateLimit limit(0);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(limit.Take("a", absl::UnixEpoch()), absl::ZeroDuration());
}

TEST(FailedLogins, LockOutOneAddressForAWhile) {
  FailedLogins failed(3);
  const absl::Time start = absl::FromUnixSeconds(1'000);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(failed.Add("10.0.0.1", start), absl::ZeroDuration());
  EXPECT_EQ(failed.Add("10.0.0.1", start + absl::Seconds(20)), absl::Seconds(40));
  EXPECT_EQ(failed.Add("10.0.0.2", start), absl::ZeroDuration());
  EXPECT_EQ(failed.Add("10.0.0.1", start + absl::Seconds(61)), absl::ZeroDuration());
}

TEST(FailedLogins, OfOneNetworkOfIpv6TheyCountTogether) {
  FailedLogins failed(3);
  const absl::Time start = absl::FromUnixSeconds(1'000);
  for (const char* address : {"2001:db8:0:1::1", "2001:db8:0:1::2", "2001:db8:0:1:ffff::3"}) {
    EXPECT_EQ(failed.Add(address, start), absl::ZeroDuration());
  }
  EXPECT_GT(failed.Add("2001:db8:0:1::4", start), absl::ZeroDuration());
  EXPECT_EQ(failed.Add("2001:db8:0:2::1", start), absl::ZeroDuration());
  for (int i = 0; i < 3; ++i) failed.Add("::ffff:10.0.0.1", start);
  EXPECT_EQ(failed.Add("::ffff:10.0.0.2", start), absl::ZeroDuration());
}

class LimitsTest : public ApiTest {
 protected:
  void SetUp() override {}
  int Connect() const {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{AF_INET, htons(static_cast<uint16_t>(port_)), {htonl(INADDR_LOOPBACK)}, {}};
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  static void Write(int fd, const std::string& text) {
    (void)!send(fd, text.data(), text.size(), MSG_NOSIGNAL);
  }
  // All that comes until the other side closes.
  static std::string ReadAll(int fd) {
    std::string text;
    char buffer[4096];
    for (ssize_t n; (n = recv(fd, buffer, sizeof buffer, 0)) > 0;) text.append(buffer, n);
    close(fd);
    return text;
  }
  std::string Exchange(const std::string& text) {
    const int fd = Connect();
    Write(fd, text);
    return ReadAll(fd);
  }
  void Start() {
    StartServer();
    port_ = port();
  }
  static int CountOf(const std::string& text, const std::string& what) {
    int count = 0;
    for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; ++at) ++count;
    return count;
  }
  std::string Head(const std::string& request, const std::string& headers) const {
    return request + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + key_ + "\r\n" + headers + "\r\n";
  }
  int port_ = 0;
};

TEST_F(LimitsTest, AKeyMayMakeTenRequestsPerSecond) {
  options_.requests_per_second = 10;
  Start();
  HttpAnswer last;
  int passed = 0;
  while (passed < 500 && (last = Get("/api/v1/organization")).status == 200) ++passed;
  ASSERT_EQ(last.status, 429) << "500 requests in a row passed";
  EXPECT_GE(passed, 10);
  EXPECT_EQ(last.body["code"], 8);
  EXPECT_THAT(last.body["message"].get<std::string>(), testing::HasSubstr("rate limit exceeded"));
  EXPECT_GE(std::stoi(last.headers.at("retry-after")), 1);
  EXPECT_EQ(
      Call(port(), ReadText(dir_.path() + "/server/agent-token"), "GET", "/agent/v1/work?host=h").status, 200)
      << "agents are not held up";
}

TEST_F(LimitsTest, WhoGuessesKeysIsLockedOutAndOthersAreNot) {
  options_.failed_logins_allowed = 5;
  Start();
  std::string wrong = key_;
  wrong.back() = wrong.back() == 'a' ? 'b' : 'a';
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Call(port_, wrong, "GET", "/api/v1/organization").status, 401);
  const auto locked = Call(port_, wrong, "GET", "/api/v1/organization");
  EXPECT_EQ(locked.status, 429);
  EXPECT_GT(std::stoi(locked.headers.at("retry-after")), 1);
  const std::string unknown = "CCDB1_" + std::string(22, 'a') + "_" + std::string(40, 'a');
  EXPECT_EQ(Call(port_, unknown, "GET", "/api/v1/organization").text, locked.text)
      << "a known id and an unknown one are answered alike";
  EXPECT_EQ(Call(port_, "", "GET", "/api/v1/organization").status, 401) << "no key is no guess";
  EXPECT_EQ(Get("/api/v1/organization").status, 200);
}

TEST_F(LimitsTest, AKnownKeyIdAndAnUnknownOneAreAnsweredAlike) {
  Start();
  std::string wrong_secret = key_, wrong_id = key_;
  wrong_secret.back() = wrong_secret.back() == 'a' ? 'b' : 'a';
  wrong_id[10] = wrong_id[10] == 'a' ? 'b' : 'a';
  const auto one = Call(port_, wrong_secret, "GET", "/api/v1/organization");
  const auto other = Call(port_, wrong_id, "GET", "/api/v1/organization");
  EXPECT_EQ(one.status, 401);
  EXPECT_EQ(one.text, other.text);
  EXPECT_EQ(Call(port_, "", "POST", "/api/v1/clusters/x/cmek", "{").status, 401) << "who, before what";
}

TEST_F(LimitsTest, SlowClientsAreCutOffAndKeepNobodyOut) {
  options_.request_timeout = absl::Seconds(2);
  Start();
  std::vector<int> slow;
  for (int i = 0; i < 200; ++i) {
    slow.push_back(Connect());
    Write(slow.back(), i % 2 == 0 ? "GET /api/v1/organization HTTP/1.1\r\nX: "
                                  : Head("POST /api/v1/clusters", "Content-Length: 1000\r\n") + "{");
  }
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(Get("/api/v1/organization").status, 200);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2)) << "the slow ones kept it out";
  // However much they go on dribbling, each is cut off at its time.
  std::promise<void> done;
  auto dribble = std::async(std::launch::async, [&] {
    const auto ended = done.get_future();
    while (ended.wait_for(std::chrono::milliseconds(100)) == std::future_status::timeout) {
      for (const int fd : slow) Write(fd, "x");
    }
  });
  for (const int fd : slow) {
    pollfd poll_fd{fd, POLLRDHUP, 0};
    EXPECT_EQ(poll(&poll_fd, 1, 15'000), 1) << "a slow client is still connected";
  }
  done.set_value();
  dribble.get();
  for (const int fd : slow) close(fd);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
  EXPECT_EQ(Get("/api/v1/clusters").body["clusters"].size(), 0U);
}

// However many there are, and however long each may take: whoever means it needs a thread for a moment only.
TEST_F(LimitsTest, WhenNoThreadIsLeftTheSlowestMakesRoom) {
  options_.request_timeout = absl::Minutes(10);
  options_.threads = 4;
  Start();
  const std::string bad = "GET /api/v1/organization HTTP/9.9\r\n\r\n";
  std::vector<int> slow;
  for (const std::string& sent : {std::string(), std::string("GET /api/v1/org"), bad,
                                  Head("POST /api/v1/clusters", "Content-Length: 1000\r\n") + "{",
                                  Head("GET /api/v1/organization", "")}) {
    for (int i = 0; i < 20; ++i) {
      slow.push_back(Connect());
      Write(slow.back(), sent);
    }
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(Get("/api/v1/organization").status, 200) << sent;
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(4))
        << "they kept it out: " << sent;
  }
  for (const int fd : slow) close(fd);
}

TEST_F(LimitsTest, HeadersWithoutAnEndAreCutOff) {
  Start();
  const int fd = Connect();
  const std::string chunk(64 << 10, 'a');
  Write(fd, "GET / HTTP/1.1\r\nX: ");
  size_t sent = 0;
  for (ssize_t n = 1; n > 0 && sent<(64u << 20); sent += n> 0 ? n : 0)
    n = send(fd, chunk.data(), chunk.size(), MSG_NOSIGNAL);
  EXPECT_LT(sent, 32u << 20) << "the server went on reading";
  close(fd);
  EXPECT_EQ(Get("/api/v1/organization").status, 200);
}

TEST_F(LimitsTest, WhatCouldBeTwoRequestsIsNone) {
  options_.request_timeout = absl::Seconds(1);  // which the rest of a body that is too large takes
  Start();
  const std::string inner = Head("DELETE /api/v1/clusters/" + Create("victim"), "");
  const std::string size = std::to_string(inner.size());
  for (const std::string& headers :
       {"Content-Length: " + size + "\r\nContent-Length: 0\r\n",
        "Content-Length: 0\r\nContent-Length: " + size + "\r\n",
        std::string("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n"),
        std::string("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
        std::string("Transfer-Encoding: xchunked\r\n"), std::string("Transfer-Encoding: gzip, chunked\r\n"),
        std::string("Content-Length: +0\r\n"), std::string("Content-Length: 0x0\r\n"),
        std::string("Content-Length: -1\r\n"), std::string("Content-Length: 99999999999999999999\r\n")}) {
    const std::string answer = Exchange(Head("PATCH /api/v1/clusters/x", headers) + "0\r\n\r\n" + inner);
    EXPECT_LE(CountOf(answer, "HTTP/1.1 "), 1) << headers << answer;
    EXPECT_EQ(answer.find("HTTP/1.1 200"), std::string::npos) << headers << answer;
  }
  // A GET has no body: what follows it with a length is not a request of its own.
  const std::string get =
      Exchange(Head("GET /api/v1/organization", "Content-Length: " + size + "\r\n") + inner);
  EXPECT_EQ(CountOf(get, "HTTP/1.1 "), 1) << get;
  EXPECT_TRUE(get.starts_with("HTTP/1.1 400")) << get;
  // After a body that is too large the rest is not read as requests.
  const std::string large = Exchange(Head("POST /api/v1/clusters", "Content-Length: 100000000\r\n") + inner);
  EXPECT_EQ(CountOf(large, "HTTP/1.1 "), 1) << large;
  EXPECT_EQ(Get("/api/v1/clusters").body["clusters"][0]["state"], "CREATING");
}

// What httplib skips or trims, a proxy before it may have taken for the length of a body: then the rest of
// the connection is another request to one of them.
TEST_F(LimitsTest, HeaderLinesThatAreNoneAreRefused) {
  Start();
  const std::string inner = Head("GET /api/v1/organization", "");
  const std::string length = "Content-Length: " + std::to_string(inner.size());
  for (const std::string& headers :
       {length + "\n", "X: a\n" + length + "\r\n", "X: a\r\n " + length + "\r\n", " " + length + "\r\n",
        "Content-Length : " + std::to_string(inner.size()) + "\r\n", std::string("Content-Length:\r\n"),
        std::string("Content-Length: %30\r\n"),
        std::string("X: a\r"
                    "b\r\n"),
        std::string("X: a\0b\r\n", 8), std::string("X: a\x1b[2J\r\n"), std::string("no colon\r\n"),
        std::string("Host: other\r\n"), std::string("Authorization: Bearer other\r\n"),
        std::string("Transfer-Encoding:\x0b"
                    "chunked\r\n")}) {
    const std::string answer = Exchange(Head("GET /api/v1/organization", headers) + inner);
    EXPECT_EQ(CountOf(answer, "HTTP/1.1 "), 1) << headers << answer;
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 400")) << headers << answer;
  }
  std::string many;
  for (int i = 0; i < 20'000; ++i) many += "X: y\r\n";
  EXPECT_FALSE(Exchange(Head("GET /api/v1/organization", many)).starts_with("HTTP/1.1 200"));
}

TEST_F(LimitsTest, NothingFollowsABodyInChunks) {
  Start();
  const std::string head = Head("PATCH /api/v1/clusters/x", "Transfer-Encoding: chunked\r\n");
  const std::string inner = Head("GET /api/v1/organization", "");
  for (const char* chunks : {"2\r\n{}\r\n0\r\n\r\n", "0x2\r\n{}\r\n0\r\n\r\n", "+2\r\n{}\r\n0\r\n\r\n",
                             " 2;x=\"\n\r\n{}\r\n0\r\n\r\n", "2\n{}\n0\n\n", "-1\r\n", "ffffffffffffffff\r\n",
                             "0\r\nX: y\r\n\r\n", "zz\r\n"}) {
    const std::string answer = Exchange(head + chunks + inner);
    EXPECT_LE(CountOf(answer, "HTTP/1.1 "), 1) << chunks << answer;
    EXPECT_EQ(answer.find("HTTP/1.1 200"), std::string::npos) << chunks << answer;
  }
  EXPECT_THAT(Exchange(head + "2\r\n{}\r\n0\r\n\r\n"), testing::HasSubstr("Connection: close"));
}

// As to a proxy: this is none.
TEST_F(LimitsTest, TargetsThatAreNoPathsLeadNowhere) {
  Start();
  const std::string here = "http://127.0.0.1:" + std::to_string(port_);
  for (const std::string& request : std::vector<std::string>{
           "GET " + here + "/api/v1/organization", "GET http://169.254.169.254/latest/meta-data",
           "CONNECT 127.0.0.1:22", "GET //api/v1/organization", "OPTIONS *", "TRACE /api/v1/organization",
           "GET /api/v1/../v1/organization", "GET /api/v1/organization/.", "GET /api%2fv1%2forganization",
           "GET /api/v1/clusters/..%2f..%2forganization", "GET /api/v1/clusters/%2e%2e/organization"}) {
    const std::string answer = Exchange(Head(request, "Connection: close\r\n"));
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 4")) << request << answer;
  }
}

TEST_F(LimitsTest, OnePipelinedAfterAnotherIsServed) {
  Start();
  const std::string get = Head("GET /api/v1/organization", "");
  const std::string last = Head("GET /api/v1/organization", "Connection: close\r\n");
  EXPECT_EQ(CountOf(Exchange(get + get + last), "HTTP/1.1 200"), 3);
}

TEST_F(LimitsTest, GiantAndDeepBodiesAreRefused) {
  Start();
  const std::string deep = R"({"spec":)" + std::string(100'000, '[') + std::string(100'000, ']') + "}";
  const std::string open = R"({"spec":)" + std::string(500'000, '[');
  const std::string wide = R"({"name":")" + std::string(1 << 20, 'a') + "\"}";
  std::string many = "{";
  for (int i = 0; i < 50'000; ++i) many += "\"k" + std::to_string(i) + "\":0,";
  for (const std::string& body :
       {deep, open, wide, many + "\"z\":0}", std::string(R"({"name":"a","name":"b"})"),
        std::string(R"({"name":1e999})"), std::string("{\"name\":\"\xff\xfe\"}")}) {
    const auto answer = Call(port_, key_, "POST", "/api/v1/clusters", body);
    EXPECT_TRUE(answer.status == 400 || answer.status == 413) << answer.status << body.substr(0, 40);
    EXPECT_LT(answer.text.size(), 1000U) << "what was sent is not sent back";
  }
  EXPECT_EQ(Get("/api/v1/clusters").body["clusters"].size(), 0U);
}

TEST_F(LimitsTest, OverTlsWithACertificate) {
  const std::string certificate = dir_.path() + "/cert.pem", key = dir_.path() + "/key.pem";
  const std::string make =
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost"
      " -addext subjectAltName=IP:127.0.0.1 -keyout " +
      key + " -out " + certificate + " 2>/dev/null";
  ASSERT_EQ(std::system(make.c_str()), 0);
  options_.tls_certificate = certificate;
  options_.tls_key = key;
  Start();
  const std::string curl = "curl -sS -o /dev/null -w '%{http_code} %{ssl_verify_result}' --cacert " +
                           certificate + " -H 'Authorization: Bearer " + key_ + "' ";
  const auto run = [&](const std::string& rest) {
    FILE* pipe = popen(
        (curl + rest + " https://127.0.0.1:" + std::to_string(port_) + "/api/v1/organization 2>&1").c_str(),
        "r");
    char buffer[512] = "";
    const std::string text(buffer, fread(buffer, 1, sizeof buffer, pipe));
    pclose(pipe);
    return text;
  };
  EXPECT_EQ(run(""), "200 0");
  EXPECT_EQ(run("--tlsv1.3"), "200 0");
  EXPECT_THAT(run("--tls-max 1.1"), testing::Not(testing::HasSubstr("200")));
  // Plain HTTP on the TLS port is not answered, and a handshake that does not come keeps nobody out.
  EXPECT_EQ(Exchange("GET /healthz HTTP/1.1\r\n\r\n").find("HTTP/1.1 200"), std::string::npos);
  std::vector<int> silent;
  for (int i = 0; i < 50; ++i) silent.push_back(Connect());
  EXPECT_EQ(run(""), "200 0");
  for (const int fd : silent) close(fd);
}

TEST_F(LimitsTest, ABadCertificateIsToldAtTheStart) {
  options_.dir = dir_.path();
  const auto status = [this](const std::string& file) {
    options_.tls_certificate = options_.tls_key = file;
    const Status refused = Server::Start(options_, SystemClock(), crypto::SystemRandom()).status();
    EXPECT_THAT(std::string(refused.message()), testing::HasSubstr(file));
    return CauseOf(refused);
  };
  EXPECT_EQ(status(dir_.path() + "/none.pem"), Cause::kIo);
  const std::string text = dir_.path() + "/text.pem";
  std::ofstream(text) << "no certificate\n";
  EXPECT_EQ(status(text), Cause::kInvalidArgument);
}

}  // namespace
}  // namespace keyhold::api
