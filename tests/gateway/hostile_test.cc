// Clients that mean harm: who would get in without TLS or a password, keep others out, take memory, or end
// others' queries.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>
#include <malloc.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <future>
#include <set>
#include <thread>

#include "gateway/cancel_keys.h"
#include "tests/gateway/door.h"

namespace keyhold::gateway {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string Login(const std::string& proof = "proof") { return Message('p', proof); }
std::string Query(const std::string& sql) { return Message('Q', sql + '\0'); }

TEST(HostileTest, InTheClearNobodyIsAskedForAPassword) {
  const Door door;
  door.gateway->Unlock();
  const std::string cancelled = Packet(kGssEncRequest);
  for (const std::string& bytes :
       {Startup(), Startup() + Login() + Query("SELECT 1"), cancelled + Startup()}) {
    const Raw raw(door.gateway->port());
    raw.Send(bytes);
    std::string answer = raw.ReceiveAll();
    if (bytes.starts_with(cancelled)) {
      EXPECT_EQ(answer[0], 'N');
      answer.erase(0, 1);
    }
    EXPECT_THAT(answer, StartsWith("E")) << "an error, and nothing before it";
    EXPECT_THAT(answer, HasSubstr(std::string("C28000\0", 7)));
  }
  EXPECT_EQ(door.gateway->stats().relayed, 0U);
}

TEST(HostileTest, InsideTlsTheFirstMessageIsAStartupMessageOfProtocol3) {
  const Door door;
  door.gateway->Unlock();
  for (const std::string& bytes :
       {Packet(kSslRequest), Packet(kGssEncRequest), Packet(2 << 16, std::string(288, '\0')), Packet(4 << 16),
        U32(0x7fffffff), U32(4), Packet(3 << 16, std::string("user\0a\x1b[2J\0\0", 12)),
        Packet(3 << 16, std::string("user\0a\0application_name\0x\ny\0\0", 29))}) {
    Encrypted client(door.gateway->port());
    client.Send(bytes);
    const std::string answer = client.ReceiveAll();
    EXPECT_THAT(answer, StartsWith("E"));
    EXPECT_THAT(answer, AnyOf(HasSubstr("C08P01"), HasSubstr("C0A000"))) << answer;
    EXPECT_EQ(answer.find('\x1b'), std::string::npos);
  }
  EXPECT_EQ(door.gateway->stats().relayed, 0U);
}

// The oldest makes room: whoever means it is through in a moment, and who floods pays for each place.
TEST(HostileTest, AFloodOfStartsIsBoundedAndOthersGetIn) {
  const Door door({.max_starting = 8, .startup_timeout_ms = 60'000});
  std::vector<std::unique_ptr<Raw>> flood;
  for (int i = 0; i < 200; ++i) {
    flood.push_back(std::make_unique<Raw>(door.gateway->port()));
    flood.back()->Send(i % 2 == 0 ? Packet(kGssEncRequest) : std::string("\0\0", 2));
  }
  EXPECT_THAT(door.Psql(), HasSubstr("the cluster is starting")) << "the flood kept it out";
  EXPECT_LE(door.gateway->stats().sessions, 8U);
  EXPECT_THAT(flood.front()->ReceiveAll(), Not("open"));
}

// However much it sends: its time is up, and others have their turn.
TEST(HostileTest, WhoIsRefusedAndGoesOnSendingIsCutOff) {
  const Door door({.end_timeout_ms = 300});
  const Raw client(door.gateway->port());
  client.Send(Startup());
  std::vector<std::future<void>> senders;
  for (int i = 0; i < 4; ++i) {
    senders.push_back(std::async(std::launch::async, [fd = client.fd()] {
      const std::string chunk(1 << 20, 'x');
      while (send(fd, chunk.data(), chunk.size(), MSG_NOSIGNAL) > 0) {
      }
    }));
  }
  for (auto& sender : senders) {
    EXPECT_EQ(sender.wait_for(std::chrono::seconds(20)), std::future_status::ready) << "still connected";
  }
  EXPECT_THAT(door.Psql(), HasSubstr("the cluster is starting"));
}

// In PostgreSQL's place: lets "app" in at once and answers each read; asks all others for a password, for
// ever.
class Upstream {
 public:
  explicit Upstream(const std::string& path) : listener_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(listener_, 16), 0);
    thread_ = std::thread([this] {
      for (int fd; (fd = accept(listener_, nullptr, nullptr)) >= 0;) {
        clients_.emplace_back(Serve, fd);
      }
    });
  }
  // After the gateway, which closes the connections.
  ~Upstream() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    for (std::thread& client : clients_) client.join();
    close(listener_);
  }

 private:
  static void Serve(int fd) {
    std::string buffer(4096, '\0');
    for (ssize_t got; (got = recv(fd, buffer.data(), buffer.size(), 0)) > 0;) {
      const bool startup = buffer[0] == '\0';
      const bool app = buffer.substr(0, static_cast<size_t>(got)).find("app") != std::string::npos;
      const std::string answer = !startup ? Message('Z', "I")
                                 : app    ? Message('R', U32(0)) + Message('Z', "I")
                                          : Message('R', U32(3));
      send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
    }
    close(fd);
  }

  const int listener_;
  std::thread thread_;
  std::vector<std::thread> clients_;
};

TEST(HostileTest, WhoNeverSendsItsPasswordGivesItsPlaceBack) {
  const TempDir dir;
  const Upstream upstream(dir.File("s"));
  const Door door({.startup_timeout_ms = 2'000}, {"127.0.0.1"}, dir.File("s"));
  door.gateway->Unlock();
  Encrypted inside(door.gateway->port());
  inside.Send(Startup());
  const std::string ready = Message('R', U32(0)) + Message('Z', "I");
  EXPECT_EQ(inside.Receive(ready.size()), ready);
  Encrypted silent(door.gateway->port());
  silent.Send(Packet(3 << 16, std::string("user\0nobody\0\0", 13)));
  EXPECT_EQ(silent.ReceiveAll(), Message('R', U32(3)));
  inside.Send(Query("SELECT 1"));
  EXPECT_EQ(inside.Receive(6), Message('Z', "I")) << "who is logged in has no such time";
}

TEST(HostileTest, SecretsOfCancelRequestsAreNotToBeForeseen) {
  CancelKeys keys(crypto::SystemRandom());
  std::set<uint32_t> secrets;
  uint32_t together = 0;
  for (uint32_t pid = 1; pid <= 1000; ++pid) {
    const uint32_t secret = keys.Add(pid, 7);
    secrets.insert(secret);
    together |= secret ^ *secrets.begin();
  }
  EXPECT_GT(secrets.size(), 990U);
  EXPECT_EQ(together, 0xffffffffU) << "a bit is always the same";
}

struct Close {
  void operator()(PGconn* connection) const { PQfinish(connection); }
  void operator()(PGresult* result) const { PQclear(result); }
};
using Connection = std::unique_ptr<PGconn, Close>;

// A session that libpq has logged in, to go on with by hand.
class LoggedIn {
 public:
  explicit LoggedIn(const Cluster& cluster) : connection_(PQconnectdb(cluster.Url().c_str())) {
    EXPECT_EQ(PQstatus(connection_.get()), CONNECTION_OK) << PQerrorMessage(connection_.get());
    const int fd = PQsocket(connection_.get());
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
  }
  uint32_t pid() const { return static_cast<uint32_t>(PQbackendPID(connection_.get())); }

  // 0: the connection is gone.
  int Send(const std::string& bytes) {
    auto* ssl = static_cast<SSL*>(PQgetssl(connection_.get()));
    return std::max(0, SSL_write(ssl, bytes.data(), static_cast<int>(bytes.size())));
  }

  std::string Value(const char* sql) {
    const std::unique_ptr<PGresult, Close> result(PQexec(connection_.get(), sql));
    return PQntuples(result.get()) == 1 ? PQgetvalue(result.get(), 0, 0) : PQresultErrorMessage(result.get());
  }

 private:
  Connection connection_;
};

// One PostgreSQL for all of them.
class HostileSessionTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { cluster_ = new Cluster; }
  static void TearDownTestSuite() { delete cluster_; }
  uint16_t port() const { return cluster_->gateway().port(); }

  static Cluster* cluster_;
};
Cluster* HostileSessionTest::cluster_ = nullptr;

TEST_F(HostileSessionTest, AMinorVersionOfTheFutureIsNegotiatedDown) {
  Encrypted client(port());
  client.Send(Startup(9));
  const std::string answer = client.Receive(9);
  EXPECT_EQ(answer[0], 'v') << "NegotiateProtocolVersion";
  EXPECT_EQ(ReadU32(answer.substr(5)), 3U << 16);
}

TEST_F(HostileSessionTest, AStatementBeforeThePasswordEndsTheSession) {
  for (const std::string& bytes : {Query("SELECT 1"), Message('d', "row"), Message('S', ""), Message('F', ""),
                                   'p' + U32(0x3fffffff), 'p' + U32(3)}) {
    Encrypted client(port());
    client.Send(Startup() + bytes);
    const std::string answer = client.ReceiveAll();
    EXPECT_THAT(answer, HasSubstr("C08P01")) << bytes[0];
    EXPECT_EQ(answer.find(Message('R', U32(0))), std::string::npos) << "AuthenticationOk";
  }
}

TEST_F(HostileSessionTest, AGuessedCancelRequestCancelsNothing) {
  LoggedIn victim(*cluster_);
  const uint64_t before = cluster_->gateway().stats().cancels;
  for (const uint32_t guess : {0U, 1U, 0xffffffffU, victim.pid()}) {
    const Raw raw(port());
    raw.Send(Packet(kCancelRequest, U32(victim.pid()) + U32(guess)));
    EXPECT_EQ(raw.ReceiveAll(), "") << "right and wrong guesses look alike";
    Encrypted inside(port());
    inside.Send(Packet(kCancelRequest, U32(victim.pid()) + U32(guess)));
    EXPECT_EQ(inside.ReceiveAll(), "");
  }
  EXPECT_EQ(cluster_->gateway().stats().cancels, before);
  EXPECT_EQ(victim.Value("SELECT 1"), "1");
}

TEST_F(HostileSessionTest, CopyDataOutsideOfCopyChangesNothing) {
  LoggedIn client(*cluster_);
  EXPECT_GT(client.Send(Message('d', "row\n") + Message('c', "") + Message('f', std::string("why\0", 4))), 0);
  EXPECT_EQ(client.Value("SELECT 2::STRING"), "2");
}

TEST_F(HostileSessionTest, LengthsThatAreNoneEndTheSession) {
  for (const std::string& bytes :
       {'Q' + U32(0), 'Q' + U32(0xffffffff), 'P' + U32(3), 'B' + U32(0x40000000), 'd' + U32(0x80000000),
        Message('!', "x"), Message('p', "proof"), Startup()}) {
    LoggedIn client(*cluster_);
    client.Send(bytes);
    EXPECT_THAT(client.Value("SELECT 1"), Not("1"));
  }
  EXPECT_EQ(LoggedIn(*cluster_).Value("SELECT 1"), "1");
}

// Allocated in this process, in which the gateway is. Sanitizers tell nothing of it.
size_t MemoryInUse() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

TEST_F(HostileSessionTest, GiantMessagesTakeNoMemoryOfTheGateway) {
  const std::string chunk(1 << 20, 'x');
  const size_t before = MemoryInUse();
  for (const char type : {'Q', 'P', 'B'}) {
    LoggedIn client(*cluster_);
    ASSERT_GT(client.Send(type + U32(0x3f000000)), 0);
    for (int i = 0; i < 48; ++i) ASSERT_GT(client.Send(chunk), 0);
    EXPECT_LT(MemoryInUse(), before + (8 << 20)) << "of 48 MiB that came";
  }
}

}  // namespace
}  // namespace keyhold::gateway
