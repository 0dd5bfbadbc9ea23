// Who gets in, who does not and what they are told; what a client that means harm can do; the lock under
// load.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <future>

#include "absl/strings/str_cat.h"
#include "gateway/protocol.h"
#include "tests/gateway/door.h"

namespace keyhold::gateway {
namespace {

using std::chrono::steady_clock;
using ::testing::HasSubstr;

TEST(DoorTest, StartsLockedAndSaysSo) {
  const Door door;
  EXPECT_THAT(door.Psql(), HasSubstr("FATAL:  the cluster is starting and does not serve yet"));
  EXPECT_EQ(door.gateway->stats().refused, 1u);
}

TEST(DoorTest, SaysWhenNothingListensBehindIt) {
  const Door door;
  door.gateway->Unlock();
  EXPECT_THAT(door.Psql(), HasSubstr("FATAL:  the database does not take connections now"));
}

TEST(DoorTest, AllowlistNamesTheAddressAndTheCommand) {
  const Door door({}, {});
  EXPECT_THAT(door.Psql(), HasSubstr("FATAL:  the address 127.0.0.1 is not in this cluster's IP allowlist"));
  EXPECT_THAT(door.Psql(), HasSubstr("127.0.0.1/32"));
  EXPECT_TRUE(door.gateway->SetAllowlist({"127.0.0.0/8"}).ok());
  EXPECT_THAT(door.Psql(), HasSubstr("starting"));
  const Status bad = door.gateway->SetAllowlist({"10.0.0.0/8", "10.0.0.1/8"});
  EXPECT_EQ(CauseOf(bad), Cause::kInvalidArgument);
  EXPECT_THAT(std::string(bad.message()), HasSubstr("10.0.0.1/8"));
  EXPECT_THAT(door.Psql(), HasSubstr("starting")) << "the list before must stay in force";
}

TEST(DoorTest, PlainConnectionsAreToldToUseTls) {
  const Door door;
  EXPECT_THAT(door.Psql("sslmode=disable"),
              HasSubstr("FATAL:  this cluster takes connections over TLS only"));
  EXPECT_THAT(door.Psql("sslmode=disable"), HasSubstr("sslmode=verify-full"));
}

TEST(DoorTest, VerifyFullFailsWithAnotherCertificate) {
  const Door door;
  const Door other;
  EXPECT_THAT(door.Psql("sslrootcert=" + other.dir.File("cert.pem")), HasSubstr("certificate verify failed"));
}

TEST(DoorTest, OldTlsIsRefused) {
  const Door door;
  EXPECT_THAT(door.Psql("ssl_min_protocol_version=TLSv1 ssl_max_protocol_version=TLSv1.1"),
              HasSubstr("SSL error"));
  EXPECT_THAT(door.Psql("ssl_max_protocol_version=TLSv1.2"), HasSubstr("starting"));
}

TEST(DoorTest, ReplicationIsRefused) {
  const Door door;
  door.gateway->Unlock();
  EXPECT_THAT(door.Psql("replication=database"), HasSubstr("replication connections are not supported"));
}

TEST(DoorTest, GssIsDeclinedOnceAndTlsMayFollow) {
  const Door door;
  const Raw raw(door.gateway->port());
  raw.Send(Packet(kGssEncRequest));
  EXPECT_EQ(raw.Receive(1), "N");
  raw.Send(Packet(kSslRequest));
  EXPECT_EQ(raw.Receive(1), "S");
}

TEST(DoorTest, MalformedFirstPacketsGetAnErrorAndAClose) {
  const Door door;
  for (const std::string& bytes :
       {U32(0), U32(7), U32(0xffffffff), U32(10'001), std::string("GET / HTTP/1.1\r\n\r\n"), Packet(2 << 16),
        Packet(4 << 16), Packet(3 << 16), Packet(3 << 16, "user"), Packet(kSslRequest, "more"),
        Packet(kGssEncRequest) + Packet(kGssEncRequest)}) {
    const Raw raw(door.gateway->port());
    raw.Send(bytes);
    const std::string answer = raw.ReceiveAll();
    EXPECT_THAT(answer, HasSubstr("FATAL")) << bytes;
  }
  EXPECT_EQ(door.gateway->stats().relayed, 0u);
}

TEST(DoorTest, BytesBehindSslRequestAreNeverPlaintext) {
  const Door door;
  const Raw raw(door.gateway->port());
  raw.Send(Packet(kSslRequest) + Packet(3 << 16, std::string("user\0x\0\0", 8)));
  const std::string answer = raw.ReceiveAll();
  EXPECT_EQ(answer.substr(0, 1), "S");
  EXPECT_EQ(answer.find("FATAL"), std::string::npos) << "what follows is read as TLS or not at all";
}

TEST(DoorTest, UnknownCancelKeysAreNothing) {
  const Door door;
  const Raw raw(door.gateway->port());
  raw.Send(Packet(kCancelRequest, U32(1) + U32(2)));
  EXPECT_EQ(raw.ReceiveAll(), "");
  EXPECT_EQ(door.gateway->stats().cancels, 0u);
}

TEST(DoorTest, SlowClientsAreCutOff) {
  const Door door({.startup_timeout_ms = 300});
  const Raw silent(door.gateway->port());
  const Raw half(door.gateway->port());
  half.Send(std::string("\0\0", 2));
  const Raw handshake(door.gateway->port());
  handshake.Send(Packet(kSslRequest));
  EXPECT_EQ(silent.ReceiveAll(), "");
  EXPECT_EQ(half.ReceiveAll(), "");
  EXPECT_EQ(handshake.ReceiveAll(), "S");
}

TEST(DoorTest, TooManySessionsAreTold) {
  const Door door({.max_sessions = 0});
  door.gateway->Unlock();
  EXPECT_THAT(door.Psql(), HasSubstr("FATAL:  too many connections"));
}

TEST(DoorTest, BadOptionsAreRefused) {
  TempDir dir;
  MakeCertificate(dir);
  const auto cause = [&](const std::function<void(GatewayOptions&)>& spoil) {
    GatewayOptions options = OptionsFor(dir, dir.File("s"));
    spoil(options);
    const auto gateway = Gateway::Start(options);
    return gateway.ok() ? "OK" : std::string(CauseName(CauseOf(gateway.status())));
  };
  EXPECT_EQ(cause([](GatewayOptions&) {}), "OK");
  for (const char* listen :
       {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "localhost:0"}) {
    EXPECT_EQ(cause([&](GatewayOptions& o) { o.listen = listen; }), "INVALID_ARGUMENT") << listen;
  }
  EXPECT_EQ(cause([](GatewayOptions& o) { o.upstream_socket = std::string(108, 'x'); }), "INVALID_ARGUMENT");
  EXPECT_EQ(cause([](GatewayOptions& o) { o.certificate_path = "/no/such"; }), "IO");
  EXPECT_EQ(cause([](GatewayOptions& o) { o.certificate_path = "/etc/passwd"; }), "INVALID_ARGUMENT");
  EXPECT_EQ(cause([](GatewayOptions& o) { std::swap(o.certificate_path, o.key_path); }), "INVALID_ARGUMENT");
  const Door busy;
  EXPECT_EQ(cause([&](GatewayOptions& o) { o.listen = absl::StrCat("127.0.0.1:", busy.gateway->port()); }),
            "IO");
}

// A session that makes the file `.ready`, then does what `waits` says, and prints the error that ends it.
std::string SessionThat(const std::string& waits) {
  return R"py(
import time
mark = url.split('sslrootcert=')[1]
c = psycopg2.connect(url); k = c.cursor(); k.execute('SELECT 1')
open(mark + '.ready', 'w').close()
)py" + waits +
         R"py(
except psycopg2.Error as e: print(e.pgcode, str(e).splitlines()[0], str(e).splitlines()[1])
)py";
}

void AwaitFile(const std::string& path) {
  while (access(path.c_str(), F_OK) != 0) {
  }
}

TEST(LockTest, EndsEverySessionUnderLoadAndServesAgain) {
  Cluster cluster({}, "-c max_connections=60");
  const std::string pgbench = "/usr/lib/postgresql/15/bin/pgbench ";
  ASSERT_EQ(Shell(absl::StrCat(pgbench, "-i -q '", cluster.Url(), "'")).code, 0);
  auto bench = std::async(std::launch::async, [&] {
    return Shell(absl::StrCat(pgbench, "-n -c 20 -T 30 -M prepared '", cluster.Url(), "'"));
  });
  while (cluster.gateway().stats().relayed < 20) {
  }
  const auto before = steady_clock::now();
  cluster.gateway().Lock({.cause = Cause::kKmsDenied, .message = "access to the CMEK key was revoked"});
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - before);
  EXPECT_EQ(cluster.gateway().stats().relayed, 0u);
  EXPECT_LT(took.count(), 1000);
  const Ran ran = bench.get();
  EXPECT_NE(ran.code, 0);
  EXPECT_THAT(ran.output, HasSubstr("access to the CMEK key was revoked"));
  EXPECT_EQ(cluster.gateway().stats().ended, 20u);
  cluster.gateway().Unlock();
  EXPECT_EQ(cluster.Psql("-c 'SELECT 1'").output, "1\n");
  std::printf("lock under load: %lld ms\n", static_cast<long long>(took.count()));
}

TEST(LockTest, IsBoundedWhenAClientDoesNotRead) {
  Cluster cluster({.end_timeout_ms = 300});
  // Takes the first row of a large result and then nothing.
  auto stuck = std::async(std::launch::async, [&] {
    return cluster.Python(R"py(
import select, sys
c = psycopg2.connect(url, async_=1)
def wait():
  while True:
    s = c.poll()
    if s == psycopg2.extensions.POLL_OK: return
    if s == psycopg2.extensions.POLL_READ: select.select([c.fileno()], [], [])
    else: select.select([], [c.fileno()], [])
wait()
k = c.cursor(); k.execute("SELECT repeat('x', 1000000) FROM generate_series(1, 100)")
select.select([c.fileno()], [], [])
open(os.environ['URL'].split('sslrootcert=')[1] + '.stuck', 'w').close()
sys.stdin.read()
)py");
  });
  AwaitFile(cluster.certificate() + ".stuck");
  const auto before = steady_clock::now();
  cluster.gateway().Lock({.cause = Cause::kKmsDisabled, .message = "disabled"});
  EXPECT_LT(steady_clock::now() - before, std::chrono::milliseconds(700));
  EXPECT_EQ(cluster.gateway().stats().relayed, 0u);
}

TEST(LockTest, ABusySessionReadsWhyItEnds) {
  Cluster cluster;
  auto session = std::async(std::launch::async, [&] {
    return cluster.Python(SessionThat("try: k.execute('SELECT pg_sleep(60)')"));
  });
  AwaitFile(cluster.certificate() + ".ready");
  while (
      cluster.Psql("-c \"SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sl%'\"").output !=
      "1\n") {
  }
  cluster.gateway().Lock({.cause = Cause::kKmsKeyNotFound, .message = "the key was destroyed"});
  EXPECT_EQ(session.get().output, "57P01 the key was destroyed DETAIL:  Cause: KMS_KEY_NOT_FOUND.\n");
}

TEST(LockTest, AnIdleSessionReadsItAtItsNextStatement) {
  Cluster cluster;
  auto session = std::async(std::launch::async, [&] {
    return cluster.Python(
        SessionThat("while not os.path.exists(mark + '.go'): pass\ntry: k.execute('SELECT 2')"));
  });
  AwaitFile(cluster.certificate() + ".ready");
  cluster.gateway().Lock({.cause = Cause::kKmsDenied, .message = "access was revoked"});
  EXPECT_EQ(cluster.gateway().stats().relayed, 0u);
  EXPECT_EQ(Shell("touch " + cluster.certificate() + ".go").code, 0);
  EXPECT_EQ(session.get().output, "57P01 access was revoked DETAIL:  Cause: KMS_DENIED.\n");
}

}  // namespace
}  // namespace keyhold::gateway
