// Drivers and tools through the gateway to a real PostgreSQL: what they do with one, they must be able to do
// here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>

#include <future>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/gateway/cluster.h"

namespace keyhold::gateway {
namespace {

using ::testing::HasSubstr;

struct ConnectionClose {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
struct ResultClear {
  void operator()(PGresult* result) const { PQclear(result); }
};
using Connection = std::unique_ptr<PGconn, ConnectionClose>;
using Result = std::unique_ptr<PGresult, ResultClear>;

Connection Open(const Cluster& cluster) {
  Connection connection(PQconnectdb(cluster.Url().c_str()));
  EXPECT_EQ(PQstatus(connection.get()), CONNECTION_OK) << PQerrorMessage(connection.get());
  return connection;
}

std::string Value(const Result& result) {
  if (PQntuples(result.get()) < 1) return absl::StrCat("no row: ", PQresultErrorMessage(result.get()));
  return PQgetvalue(result.get(), 0, 0);
}

Result Exec(const Connection& connection, const char* sql) { return Result(PQexec(connection.get(), sql)); }

std::string Field(const Result& result, int field) {
  const char* value = PQresultErrorField(result.get(), field);
  return value == nullptr ? "" : value;
}

constexpr char kShow[] = "SHOW CLUSTER SETTING enterprise.encryption.type";

TEST(ClientTest, ShowClusterSettingOverTheExtendedProtocol) {
  const Cluster cluster;
  const Connection connection = Open(cluster);
  const Result row(PQexecParams(connection.get(), kShow, 0, nullptr, nullptr, nullptr, nullptr, 1));
  EXPECT_EQ(Value(row), "AES-256-GCM");
  EXPECT_STREQ(PQfname(row.get(), 0), "enterprise.encryption.type");
  EXPECT_EQ(PQntuples(row.get()), 1);
  EXPECT_EQ(PQftype(row.get(), 0), 25u);  // text

  EXPECT_EQ(PQresultStatus(Result(PQprepare(connection.get(), "s", kShow, 0, nullptr)).get()),
            PGRES_COMMAND_OK);
  const Result described(PQdescribePrepared(connection.get(), "s"));
  EXPECT_STREQ(PQfname(described.get(), 0), "enterprise.encryption.type");
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Value(Result(PQexecPrepared(connection.get(), "s", 0, nullptr, nullptr, nullptr, 0))),
              "AES-256-GCM");
  }
}

TEST(ClientTest, ShowClusterSettingInsideTransactionsAndBatches) {
  const Cluster cluster;
  const Connection connection = Open(cluster);
  EXPECT_EQ(Value(Exec(connection, "BEGIN; SHOW CLUSTER SETTING enterprise.encryption.type")), "AES-256-GCM");
  EXPECT_EQ(PQtransactionStatus(connection.get()), PQTRANS_INTRANS);
  const Result unknown = Exec(connection, "SHOW CLUSTER SETTING no.such");
  EXPECT_EQ(Field(unknown, PG_DIAG_SQLSTATE), "42704");
  EXPECT_THAT(Field(unknown, PG_DIAG_MESSAGE_PRIMARY), HasSubstr("no.such"));
  EXPECT_EQ(Field(Exec(connection, kShow), PG_DIAG_SQLSTATE), "25P02");
  Exec(connection, "ROLLBACK");
  EXPECT_EQ(Value(Exec(connection, "SELECT 1; show cluster setting enterprise.encryption.type;")),
            "AES-256-GCM");
}

TEST(ClientTest, ErrorPositionsAreInTheUsersText) {
  const Cluster cluster;
  const Connection connection = Open(cluster);
  const char* sql = "SELECT 'ä'::STRING, 2::BYTES, boom";
  EXPECT_EQ(Field(Exec(connection, sql), PG_DIAG_STATEMENT_POSITION), "22");  // 2::BYTES: cannot cast
  const char* wrong = "SELECT 'ä'::STRING, 'x'::BYTES, boom";
  EXPECT_EQ(Field(Exec(connection, wrong), PG_DIAG_STATEMENT_POSITION), "33");
  const Result extended(PQexecParams(connection.get(), wrong, 0, nullptr, nullptr, nullptr, nullptr, 0));
  EXPECT_EQ(Field(extended, PG_DIAG_STATEMENT_POSITION), "33");
  EXPECT_EQ(Field(Exec(connection, "SELECT 'ä', boom"), PG_DIAG_STATEMENT_POSITION), "13");
}

TEST(ClientTest, PipelinesKeepTheirOrder) {
  const Cluster cluster;
  const Connection connection = Open(cluster);
  ASSERT_EQ(PQenterPipelineMode(connection.get()), 1);
  for (const char* sql : {"SELECT 1::STRING", kShow, "SELECT 'x'::BYTES, boom", "SELECT 4"}) {
    ASSERT_EQ(PQsendQueryParams(connection.get(), sql, 0, nullptr, nullptr, nullptr, nullptr, 0), 1);
  }
  PQpipelineSync(connection.get());
  const auto next = [&] {
    Result result(PQgetResult(connection.get()));
    PQgetResult(connection.get());
    return result;
  };
  EXPECT_EQ(Value(next()), "1");
  EXPECT_EQ(Value(next()), "AES-256-GCM");
  EXPECT_EQ(Field(next(), PG_DIAG_STATEMENT_POSITION), "20");
  EXPECT_EQ(PQresultStatus(next().get()), PGRES_PIPELINE_ABORTED);
  EXPECT_EQ(PQresultStatus(Result(PQgetResult(connection.get())).get()), PGRES_PIPELINE_SYNC);
}

TEST(ClientTest, CancelReachesTheRunningQuery) {
  const Cluster cluster;
  const Connection connection = Open(cluster);
  ASSERT_EQ(PQsendQuery(connection.get(), "SELECT pg_sleep(60)"), 1);
  // Not before the query runs, or there is nothing to cancel.
  const std::string running =
      absl::StrCat("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid = ",
                   PQbackendPID(connection.get()));
  const Connection other = Open(cluster);
  while (Value(Exec(other, running.c_str())) != "1") {
  }
  PGcancel* cancel = PQgetCancel(connection.get());
  std::string error(256, '\0');
  EXPECT_EQ(PQcancel(cancel, error.data(), 256), 1) << error;
  PQfreeCancel(cancel);
  const Result result(PQgetResult(connection.get()));
  EXPECT_EQ(Field(result, PG_DIAG_SQLSTATE), "57014");
}

TEST(ClientTest, NotificationsAndFunctionCallsPass) {
  const Cluster cluster;
  const Connection connection = Open(cluster);
  Exec(connection, "LISTEN news; NOTIFY news, 'hello'");
  std::unique_ptr<PGnotify, void (*)(void*)> notify(PQnotifies(connection.get()), PQfreemem);
  ASSERT_NE(notify, nullptr);
  EXPECT_STREQ(notify->extra, "hello");
  EXPECT_EQ(notify->be_pid, PQbackendPID(connection.get()));
  const Oid large_object = lo_create(connection.get(), 0);  // Fastpath: FunctionCall messages
  EXPECT_NE(large_object, 0u);
}

TEST(ClientTest, Psycopg2ServerSideAndCopyAndCancel) {
  const Cluster cluster;
  const Ran ran = cluster.Python(R"py(
import io, threading
c = psycopg2.connect(url); c.autocommit = True; k = c.cursor()
k.execute('CREATE TABLE t (id INT PRIMARY KEY, data STRING, b BYTES)')
k.execute('INSERT INTO t VALUES (%s, %s, %s)', (1, "it's ::STRING", psycopg2.Binary(b'\x00\xff')))
k.execute('SELECT data, b, %s::STRING FROM t', ('x',)); r = k.fetchone(); print(r[0], bytes(r[1]), r[2])
k.execute('SHOW CLUSTER SETTING enterprise.encryption.type'); print(k.fetchone()[0], k.description[0].name)
rows = ''.join('%d\trow %d\t\\N\n' % (i, i) for i in range(2, 200002))
k.copy_expert('COPY t FROM STDIN', io.StringIO(rows))
out = io.StringIO(); k.copy_expert('COPY (SELECT * FROM t WHERE id > 1 ORDER BY id) TO STDOUT', out)
print(out.getvalue() == rows, k.rowcount)
try: k.copy_expert('COPY t FROM STDIN', io.StringIO('1\tbad\n'))
except psycopg2.Error as e: print(e.pgcode)
d = psycopg2.connect(url); s = d.cursor('server_side'); s.itersize = 1000
s.execute('SELECT id FROM t'); print(sum(1 for _ in s))
timer = threading.Timer(0.2, c.cancel); timer.start()
try: k.execute('SELECT pg_sleep(60)')
except psycopg2.errors.QueryCanceled as e: print('canceled')
k.execute('SELECT count(*) FROM t'); print(k.fetchone()[0])
)py");
  EXPECT_EQ(
      ran.output,
      "it's ::STRING b'\\x00\\xff' x\nAES-256-GCM enterprise.encryption.type\nTrue 200000\n22P04\n200001\n"
      "canceled\n200001\n");
}

TEST(ClientTest, PgbenchInEveryProtocol) {
  const Cluster cluster;
  const Ran init = Shell(absl::StrCat("/usr/lib/postgresql/15/bin/pgbench -i -q -s 1 '", cluster.Url(), "'"));
  ASSERT_EQ(init.code, 0) << init.output;
  for (const char* protocol : {"simple", "extended", "prepared"}) {
    const Ran ran = Shell(absl::StrCat("/usr/lib/postgresql/15/bin/pgbench -n -c 4 -t 100 -M ", protocol,
                                       " '", cluster.Url(), "'"));
    EXPECT_EQ(ran.code, 0) << ran.output;
    EXPECT_THAT(ran.output, HasSubstr("number of transactions actually processed: 400/400"));
  }
}

TEST(ClientTest, DumpAndParallelRestore) {
  const Cluster cluster;
  ASSERT_EQ(
      cluster
          .Psql(
              "-c \"CREATE TABLE t AS SELECT g id, md5(g::text)::STRING v FROM generate_series(1, 50000) g\" "
              "-c 'CREATE TABLE u (a STRING, b BYTES)' -c 'CREATE INDEX ON t (v)'")
          .code,
      0);
  const std::string dump = cluster.scratch().File("dump");
  const std::string bin = "/usr/lib/postgresql/15/bin/";
  EXPECT_EQ(Shell(absl::StrCat(bin, "pg_dump -Fc -f ", dump, " '", cluster.Url(), "'")).code, 0);
  ASSERT_EQ(cluster.Psql("-c 'CREATE DATABASE copy OWNER app'", "postgres").code, 0);
  std::string into = cluster.Url();
  into.replace(into.find("/app?"), 5, "/copy?");
  const Ran restore = Shell(absl::StrCat(bin, "pg_restore -j 2 -d '", into, "' ", dump));
  EXPECT_EQ(restore.code, 0) << restore.output;
  const std::string sum = "-At -c 'SELECT count(*), md5(string_agg(v, null ORDER BY id)) FROM t'";
  EXPECT_EQ(Shell(absl::StrCat("psql -X '", into, "' ", sum)).output, cluster.Psql(sum).output);
}

TEST(ClientTest, LargeResultsArriveWholeAtASlowReader) {
  const Cluster cluster;
  const Connection connection = Open(cluster);
  ASSERT_EQ(PQsendQuery(connection.get(), "SELECT repeat('x', 1000) FROM generate_series(1, 200000)"), 1);
  PQsetSingleRowMode(connection.get());
  size_t rows = 0, bytes = 0;
  while (const Result row{PQgetResult(connection.get())}) {
    rows += static_cast<size_t>(PQntuples(row.get()));
    if (PQntuples(row.get()) == 1) bytes += static_cast<size_t>(PQgetlength(row.get(), 0, 0));
  }
  EXPECT_EQ(rows, 200'000u);
  EXPECT_EQ(bytes, 200'000'000u);
}

TEST(ClientTest, ALongStatementPassesWholeAndUntouched) {
  GatewayLimits limits;
  limits.max_rewrite_bytes = 1 << 20;
  const Cluster cluster(limits);
  const Connection connection = Open(cluster);
  const std::string text(3 << 20, 'y');
  EXPECT_EQ(Value(Exec(connection, ("SELECT length('" + text + "'::text)").c_str())), "3145728");
  EXPECT_EQ(Field(Exec(connection, ("SELECT length('" + text + "'::STRING)").c_str()), PG_DIAG_SQLSTATE),
            "42704");
}

TEST(ClientTest, TwoThousandShortConnections) {
  const Cluster cluster;
  std::vector<std::future<int>> threads;
  for (int t = 0; t < 8; ++t) {
    threads.push_back(std::async(std::launch::async, [&] {
      int good = 0;
      for (int i = 0; i < 250; ++i) good += Value(Exec(Open(cluster), "SELECT 7")) == "7" ? 1 : 0;
      return good;
    }));
  }
  int good = 0;
  for (auto& thread : threads) good += thread.get();
  EXPECT_EQ(good, 2000);
}

TEST(ClientTest, ChannelBindingPreferredWorksAndRequiredIsRefusedByTheClient) {
  Cluster cluster;
  const auto with = [&](const char* mode) {
    return Shell(absl::StrCat("psql -X -At '", cluster.Url("app", absl::StrCat("&channel_binding=", mode)),
                              "' -c 'SELECT 1'"));
  };
  EXPECT_EQ(with("prefer").output, "1\n");
  EXPECT_THAT(with("require").output, HasSubstr("channel binding is required, but server did not offer"));
}

TEST(ClientTest, WrongPasswordIsPostgresOwnError) {
  const Cluster cluster;
  std::string url = cluster.Url();
  url.replace(url.find("secret"), 6, "wrong!");
  EXPECT_THAT(Shell("psql -X '" + url + "' -c 'SELECT 1'").output,
              HasSubstr("password authentication failed"));
}

}  // namespace
}  // namespace keyhold::gateway
