// Servers that mean harm, or are none: ccloud says so in one line, in bounded time and memory, and the API
// key goes to nobody else.
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "cli/http.h"
#include "tests/cli/fixture.h"

namespace keyhold::cli {
namespace {

using ::testing::HasSubstr;

// Answers each connection with `head`, then with `piece` again and again; until the client has gone, where
// `endless`, with `pause` milliseconds between.
class RawServer {
 public:
  struct Script {
    std::string head;
    std::string piece = "";
    int pause = 0;
    bool endless = true;
  };

  explicit RawServer(Script script)
      : script_(std::move(script)), listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {}};
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, 16), 0);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] {
      for (int fd; (fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
        ++connections_;
        Answer(fd);
        close(fd);
      }
    });
  }
  ~RawServer() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }

  std::string url() const { return absl::StrCat("http://127.0.0.1:", port_); }
  int connections() const { return connections_; }
  size_t sent() const { return sent_; }

 private:
  bool Say(int fd, const std::string& text) {
    const ssize_t n = send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (n > 0) sent_ += static_cast<size_t>(n);
    return n == static_cast<ssize_t>(text.size());
  }

  // The client has gone when its end of the connection is closed.
  static bool IsGone(int fd, int wait) {
    pollfd hung{fd, POLLRDHUP, 0};
    return poll(&hung, 1, wait) > 0;
  }

  void Answer(int fd) {
    char request[4096];
    if (recv(fd, request, sizeof request, 0) <= 0 || !Say(fd, script_.head)) return;
    while (script_.endless && !IsGone(fd, script_.piece.empty() ? -1 : script_.pause) &&
           Say(fd, script_.piece)) {
    }
  }

  const Script script_;
  const int listener_;
  uint16_t port_ = 0;
  std::atomic<int> connections_ = 0;
  std::atomic<size_t> sent_ = 0;
  std::thread thread_;
};

constexpr char kOk[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";

std::string Answered(const std::string& status, const std::string& headers, const std::string& body) {
  return absl::StrCat("HTTP/1.1 ", status, "\r\n", headers, "Content-Length: ", body.size(), "\r\n\r\n",
                      body);
}

class HostileServerTest : public CliTest {
 protected:
  // What `ccloud organization get` says of it.
  std::string Says(const RawServer& server) {
    server_ = server.url();
    EXPECT_EQ(Ccloud({"-q", "organization", "get"}), 1) << Out();
    EXPECT_EQ(Out(), "");
    EXPECT_LT(Err().size(), 10'000U);
    return Err();
  }
};

TEST_F(HostileServerTest, AnAnswerWithoutAnEndIsGivenUp) {
  const std::string piece(64 << 10, ' ');
  for (const std::string& headers :
       {std::string("\r\n"), std::string("Content-Length: 9223372036854775807\r\n\r\n")}) {
    const RawServer server({kOk + headers, piece});
    EXPECT_THAT(Says(server), HasSubstr("is larger than 8 MiB"));
    EXPECT_LT(server.sent(), 32U << 20);
  }
  const RawServer chunks(
      {std::string(kOk) + "Transfer-Encoding: chunked\r\n\r\n", "10000\r\n" + piece + "\r\n"});
  EXPECT_THAT(Says(chunks), HasSubstr("is larger than 8 MiB"));
}

TEST_F(HostileServerTest, HeadersWithoutAnEndAreGivenUp) {
  const RawServer many({kOk, "X: y\r\n"});
  EXPECT_THAT(Says(many), HasSubstr("too many headers"));
  const RawServer long_one({std::string(kOk) + "X: ", std::string(64 << 10, 'y')});
  EXPECT_THAT(Says(long_one), HasSubstr("Error: "));
  EXPECT_LT(long_one.sent(), 32U << 20);
}

TEST_F(HostileServerTest, OneThatIsSilentOrDribblesIsGivenUpInTime) {
  for (const RawServer::Script& script :
       {RawServer::Script{""}, RawServer::Script{kOk}, RawServer::Script{"H", "T", 10},
        RawServer::Script{std::string(kOk) + "\r\n", " ", 10}, RawServer::Script{kOk, "X: y\r\n", 10}}) {
    const RawServer server(script);
    const auto answer =
        Exchange(server.url(), {.method = "GET", .path = "/", .timeout = absl::Milliseconds(200)});
    EXPECT_EQ(CauseOf(answer.status()), Cause::kUnavailable) << script.head;
  }
}

TEST_F(HostileServerTest, ARedirectIsNotFollowed) {
  const RawServer other({Answered("200 OK", "", "{}"), "", 0, false});
  for (const char* status : {"301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"}) {
    const RawServer server({Answered(status, "Location: " + other.url() + "/\r\n", ""), "", 0, false});
    EXPECT_THAT(Says(server), HasSubstr("without the Cloud API's error")) << status;
  }
  EXPECT_EQ(other.connections(), 0);
}

TEST_F(HostileServerTest, WhatIsNotJsonOfTheApiIsToldInOneLine) {
  const std::string deep = R"({"a":)" + std::string(1 << 20, '[') + std::string(1 << 20, ']') + "}";
  const std::string objects = [] {
    std::string text;
    for (int i = 0; i < 200'000; ++i) text += "{\"a\":";
    return text;
  }();
  for (const std::string& body :
       {std::string(), std::string("<html>"), std::string("[]"), std::string("null"),
        std::string("\xff\xfe{}"), std::string("{\"a\":1e999}"), deep, objects, std::string(1 << 20, '{')}) {
    for (const char* type : {"", "Content-Type: text/html\r\n", "Content-Type: application/json\r\n"}) {
      const RawServer server({Answered("200 OK", type, body), "", 0, false});
      EXPECT_THAT(Says(server), HasSubstr("does not answer in JSON")) << body.substr(0, 40);
      EXPECT_EQ(ErrLines(), 1);
    }
  }
  for (const char* text : {"garbage\r\n\r\n", "HTTP/9.9 200 OK\r\n\r\n", "HTTP/1.1\r\n\r\n", "\r\n", ""}) {
    const RawServer server({text, "", 0, false});
    EXPECT_THAT(Says(server), HasSubstr("Error: ")) << text;
    EXPECT_EQ(ErrLines(), 1);
  }
}

TEST_F(HostileServerTest, AnErrorsMessageIsCutAndEscaped) {
  const std::string body =
      nlohmann::json{{"code", 3}, {"message", "\x1b]0;owned\x07\xe2\x80\xae" + std::string(1 << 20, 'm')}}
          .dump();
  const RawServer server({Answered("400 Bad Request", "", body), "", 0, false});
  EXPECT_THAT(Says(server), HasSubstr("\\x1b]0;owned\\x07\\xe2\\x80\\xaemmm"));
  EXPECT_EQ(Err().find('\x1b'), std::string::npos);
}

// Every field of another type, one at a time.
TEST_F(HostileServerTest, FieldsOfAnotherTypeAreToldAndNotFollowed) {
  using nlohmann::json;
  json cluster = TestCluster();
  cluster["cmek_config"]["region_infos"] = {
      {{"region", "us-east-1"}, {"key_infos", {{{"status", "ENABLED"}}}}}};
  const json flat = cluster.flatten();
  std::vector<std::string> spoiled;
  for (const auto& [pointer, value] : flat.items()) {
    for (json::json_pointer at(pointer); !at.empty(); at.pop_back()) {
      for (const json& other : {json(7), json("text"), json::array({1}), json(), json{{"x", 1}}}) {
        json copy = cluster;
        copy[at] = other;
        spoiled.push_back(at.to_string() + " = " + other.dump());
        api_.On(std::string("GET /api/v1/clusters/") + kClusterId, copy);
      }
    }
  }
  int told = 0;
  for (const std::string& what : spoiled) {
    const int code = Ccloud({"-q", "cluster", "info", kClusterId});
    ASSERT_TRUE(code == 0 || code == 1) << what;
    told += code;
    if (code == 0) continue;
    EXPECT_THAT(Err(), HasSubstr("the server's answer is not the Cloud API's")) << what;
    EXPECT_EQ(ErrLines(), 1) << what;
  }
  EXPECT_GT(told, 10);
}

TEST_F(HostileServerTest, AListWithoutAnEndIsGivenUp) {
  const auto page = [](int next, size_t size) {
    return nlohmann::json{{"service_accounts", {{{"id", std::string(size, 'a')}}}},
                          {"pagination", {{"next_page", std::to_string(next)}}}};
  };
  for (int i = 0; i < 8; ++i) api_.On("GET /api/v1/service-accounts", page(i, 7U << 20));
  EXPECT_EQ(Ccloud({"service-account", "list"}), 1);
  EXPECT_THAT(Err(), HasSubstr("has no end"));
  EXPECT_LT(api_.All().size(), 8U) << "a few large pages";
  FakeApi other;
  server_ = other.url();
  for (int i = 0; i < 1000; ++i) other.On("GET /api/v1/service-accounts", page(i, 1));
  EXPECT_EQ(Ccloud({"service-account", "list"}), 1);
  EXPECT_THAT(Err(), HasSubstr("has no end"));
  EXPECT_LT(other.All().size(), 1000U) << "many small ones";
}

}  // namespace
}  // namespace keyhold::cli
