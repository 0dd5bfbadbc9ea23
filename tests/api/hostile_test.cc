// Clients that do not behave, and many at once.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <future>

#include "api/router.h"
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

// Every operation that takes one; that of a removed node looks at none.
TEST_F(HostileTest, NoBodyIsTooDeepOrTooLargeForTheServer) {
  const std::string id = Create("maya");
  const std::string token = ReadText(dir_.path() + "/server/agent-token");
  const std::string deep = R"({"spec":)" + std::string(100'000, '[') + std::string(100'000, ']') + "}";
  const std::string half = std::string(400'000, '{');
  const std::string wide = R"({"name":")" + std::string(2 << 20, 'a') + "\"}";
  int bodies = 0;
  for (const Route& route : Routes()) {
    if (route.method != "POST" && route.method != "PUT" && route.method != "PATCH") continue;
    if (route.pattern.ends_with("/removed")) continue;
    std::string path(route.pattern);
    for (size_t at; (at = path.find('{')) != std::string::npos;) {
      path.replace(at, path.find('}') - at + 1, path.substr(at).starts_with("{cluster_id}") ? id : "x");
    }
    const std::string bearer = route.access == Access::kAgent ? token : key_;
    for (const std::string& body : {deep, half, wide}) {
      const auto answer = Call(port(), bearer, std::string(route.method), path, body);
      EXPECT_TRUE((answer.status >= 400 && answer.status < 500) || answer.status == 501)
          << route.method << path << answer.status << body.substr(0, 20);
      EXPECT_LT(answer.text.size(), 1000U);
      ++bodies;
    }
  }
  EXPECT_GT(bodies, 60);
  EXPECT_EQ(Get("/api/v1/clusters").body["clusters"].size(), 1U);
}

// Names of every kind in every place of a path: none is found, all are told in the same words, and nothing of
// them is in the answer as a terminal would obey it.
TEST_F(HostileTest, IdsThatArePathsOrShellOrSqlAreJustNotThere) {
  const std::string id = Create("maya");
  const std::vector<std::string> ids = {"..",
                                        "%2e%2e",
                                        "..%2f..%2fserver%2fapi-key",
                                        "%00",
                                        "a%00b",
                                        "'%20OR%201=1--",
                                        "%24(id)",
                                        "%60id%60",
                                        "%1b%5b2J",
                                        "%0d%0aX:%20y",
                                        "%c2%9b2J",
                                        "%ff%fe",
                                        "%e2%80%ae",
                                        "00000000-0000-0000-0000-000000000000",
                                        id + "%00",
                                        id + "%20"};
  for (const char* place :
       {"/api/v1/clusters/", "/api/v1/api-keys/", "/api/v1/service-accounts/", "/api/v1/roles/"}) {
    for (const std::string& hostile : ids) {
      const auto answer = Get(place + hostile);
      EXPECT_EQ(answer.status, 404) << place << hostile;
      EXPECT_TRUE(std::none_of(answer.text.begin(), answer.text.end(), [](unsigned char c) {
        return c < 0x20 || c == 0x7f;
      })) << answer.text;
    }
  }
  for (const char* place : {"/cmek", "/nodes", "/sql-users", "/networking/allowlist", "/connection-string"}) {
    EXPECT_EQ(Get("/api/v1/clusters/" + ids[0] + place).status, 404);
    EXPECT_EQ(Get("/api/v1/clusters/" + ids.back() + place).status, 404);
  }
  EXPECT_EQ(Get("/clusters/" + ids[2] + "/cert").status, 404);
  EXPECT_EQ(Get("/api/v1/clusters/" + id).status, 200);
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
