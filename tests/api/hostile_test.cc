// Clients that do not behave, and many at once.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <future>

#include "tests/api/api_fixture.h"

namespace keyhold::api {
namespace {

using nlohmann::json;

class HostileTest : public ApiTest {
 protected:
  // A connection on which `text` was sent.
  int Raw(const std::string& text) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{AF_INET, htons(static_cast<uint16_t>(port())), {htonl(INADDR_LOOPBACK)}, {}};
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    size_t sent = 0;
    while (sent < text.size()) {
      const ssize_t n = send(fd, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) break;
      sent += n;
    }
    return fd;
  }

  // The first line of the answer; empty when the connection is closed without one.
  std::string AnswerTo(const std::string& text) {
    const int fd = Raw(text);
    shutdown(fd, SHUT_WR);
    std::string answer;
    char buffer[4096];
    for (ssize_t n; (n = recv(fd, buffer, sizeof buffer, 0)) > 0;) answer.append(buffer, n);
    close(fd);
    return answer.substr(0, answer.find("\r\n"));
  }

  json Body(const std::string& name) {
    return json::parse(R"({"name": ")" + name +
                       R"(", "provider": "AWS", "spec": {"dedicated": {"region_nodes": {"us-east-1": 1}}}})");
  }
};

TEST_F(HostileTest, WhatIsNotHttpIsRefused) {
  for (const std::string& text :
       {std::string("\r\n\r\n"), std::string("GET\r\n\r\n"),
        std::string("nonsense nonsense nonsense\r\n\r\n"),
        std::string("GET /") + std::string(100'000, 'a') + " HTTP/1.1\r\n\r\n",
        std::string("GET / HTTP/1.1\r\nX: ") + std::string(100'000, 'a') + "\r\n\r\n",
        std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11), std::string(1000, '\0')}) {
    const std::string answer = AnswerTo(text);
    EXPECT_TRUE(answer.empty() || answer.starts_with("HTTP/1.1 4")) << answer;
  }
  EXPECT_EQ(Get("/api/v1/organization").status, 200);
}

TEST_F(HostileTest, ABodyThatEndsEarlyChangesNothing) {
  const std::string head =
      "POST /api/v1/clusters HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + key_ + "\r\n";
  const std::string body = Body("cut").dump();
  AnswerTo(head + "Content-Length: " + std::to_string(body.size() + 10) + "\r\n\r\n" + body);
  AnswerTo(head + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body.substr(0, 20));
  AnswerTo(head + "Content-Length: -1\r\n\r\n" + body);
  AnswerTo(head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n" + body);
  EXPECT_EQ(Get("/api/v1/clusters").body["clusters"].size(), 0U);
}

TEST_F(HostileTest, IdleConnectionsDoNotKeepOthersOut) {
  std::vector<int> idle;
  for (int i = 0; i < 40; ++i) idle.push_back(Raw("GET /api/v1/org"));
  EXPECT_EQ(Get("/api/v1/organization").status, 200);
  for (const int fd : idle) close(fd);
}

TEST_F(HostileTest, OfManyWithOneNameOneWins) {
  std::vector<std::future<int>> calls;
  for (int i = 0; i < 16; ++i) {
    calls.push_back(std::async(std::launch::async,
                               [&] { return Send("POST", "/api/v1/clusters", Body("same")).status; }));
  }
  std::vector<int> statuses;
  for (auto& call : calls) statuses.push_back(call.get());
  EXPECT_EQ(std::count(statuses.begin(), statuses.end(), 200), 1);
  EXPECT_EQ(std::count(statuses.begin(), statuses.end(), 409), 15);
  EXPECT_EQ(Get("/api/v1/clusters").body["clusters"].size(), 1U);
}

TEST_F(HostileTest, ChangesOfManyClientsAreAllThere) {
  std::vector<std::future<void>> clients;
  for (int client = 0; client < 8; ++client) {
    clients.push_back(std::async(std::launch::async, [&, client] {
      for (int i = 0; i < 5; ++i) {
        const std::string name = "c" + std::to_string(client) + "-" + std::to_string(i);
        EXPECT_EQ(Send("POST", "/api/v1/clusters", Body(name)).status, 200);
      }
    }));
  }
  for (auto& client : clients) client.get();
  EXPECT_EQ(Get("/api/v1/clusters").body["clusters"].size(), 40U);
  EXPECT_EQ(Get("/api/v1/auditlogevents").body["entries"].size(), 40U);
}

TEST_F(HostileTest, StoppingEndsALongPoll) {
  const std::string token = ReadText(dir_.path() + "/server/agent-token");
  const auto work = Call(port(), token, "GET", "/agent/v1/work?host=h");
  auto poll = std::async(std::launch::async, [&, port = port()] {
    return Call(port, token, "GET",
                "/agent/v1/work?host=h&version=" + work.body["version"].get<std::string>())
        .status;
  });
  const auto start = std::chrono::steady_clock::now();
  server_->Stop();
  poll.get();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

TEST_F(HostileTest, ARequestOfManyParametersIsStillOne) {
  std::string query = "/api/v1/clusters?";
  for (int i = 0; i < 200; ++i) query += "a" + std::to_string(i) + "=%00%ff&";
  EXPECT_EQ(Get(query).status, 200);
  EXPECT_EQ(Get("/api/v1/auditlogevents?starting_from=%00").status, 400);
  EXPECT_EQ(Get("/api/v1/clusters/%00/cmek").status, 404);
}

TEST_F(HostileTest, OtherMethodsAreAnswered) {
  EXPECT_EQ(Call(port(), key_, "OPTIONS", "/api/v1/clusters").status, 405);
  EXPECT_EQ(Call(port(), key_, "HEAD", "/api/v1/clusters").status, 200);
}

}  // namespace
}  // namespace keyhold::api
