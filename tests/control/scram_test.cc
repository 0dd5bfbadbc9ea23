// SCRAM verifiers, judged by the one who reads them: a PostgreSQL that lets the password in, and no other.
#include "control/scram.h"

#include <gtest/gtest.h>
#include <libpq-fe.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "crypto/secret.h"

namespace keyhold::control {
namespace {

constexpr char kBin[] = "/usr/lib/postgresql/15/bin/";

// A PostgreSQL of its own on a Unix socket below /tmp, as the user postgres when this is root.
class Postgres {
 public:
  Postgres() {
    char name[] = "/tmp/keyhold-pg-XXXXXX";
    dir_ = mkdtemp(name);
    chmod(dir_.c_str(), 0777);
    Run("initdb -D " + dir_ + "/data -A trust -U postgres");
    std::ofstream(dir_ + "/hba") << "local all postgres trust\nlocal all all scram-sha-256\n";
    chmod((dir_ + "/hba").c_str(), 0644);
    Run("pg_ctl -D " + dir_ + "/data -w -l " + dir_ + "/log -o \"-c listen_addresses= -c fsync=off -k " +
        dir_ + " -c hba_file=" + dir_ + "/hba\" start");
  }
  ~Postgres() {
    Run("pg_ctl -D " + dir_ + "/data -m immediate -w stop");
    std::filesystem::remove_all(dir_);
  }

  // "" when `sql` ran, else the error.
  std::string Execute(const std::string& user, const std::string& password, const std::string& sql) {
    const std::string info =
        "host=" + dir_ + " dbname=postgres user=" + user + " password='" + password + "'";
    PGconn* connection = PQconnectdb(info.c_str());
    std::string error = PQerrorMessage(connection);
    if (PQstatus(connection) == CONNECTION_OK) {
      PGresult* result = PQexec(connection, sql.c_str());
      error = PQresultErrorMessage(result);
      PQclear(result);
    }
    PQfinish(connection);
    return error;
  }

 private:
  static void Run(const std::string& command) {
    const std::string as = getuid() == 0 ? "runuser -u postgres -- " : "";
    EXPECT_EQ(std::system(("cd /tmp && " + as + kBin + command + " >/dev/null 2>&1").c_str()), 0) << command;
  }
  std::string dir_;
};

TEST(Scram, PostgresqlTakesTheVerifier) {
  ASSERT_TRUE(crypto::InitSecretMemory().ok());
  Postgres postgres;
  const std::string password = "p w-with #~ signs";
  const std::string verifier = ScramVerifier(password, crypto::SystemRandom());
  ASSERT_EQ(postgres.Execute("postgres", "", "create role maya login password '" + verifier + "'"), "");
  EXPECT_EQ(postgres.Execute("maya", password, "select 1"), "");
  EXPECT_NE(postgres.Execute("maya", "p w-with #~ sign", "select 1").find("authentication failed"),
            std::string::npos);
}

TEST(Scram, EachVerifierHasASaltOfItsOwn) {
  ASSERT_TRUE(crypto::InitSecretMemory().ok());
  EXPECT_NE(ScramVerifier("correct horse", crypto::SystemRandom()),
            ScramVerifier("correct horse", crypto::SystemRandom()));
}

// RFC 7677 section 3: user "user", password "pencil", salt W22ZaJ0SNY7soEsUEjb6gQ==, i=4096. Its StoredKey
// and ServerKey, worked out from the exchange there with the formulas of RFC 5802 section 3.
class FixedSalt final : public crypto::Random {
 public:
  void Fill(crypto::MutableBytes out) override {
    const uint8_t salt[] = {0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e,
                            0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81};
    std::copy(std::begin(salt), std::end(salt), out.begin());
  }
  void FillSecret(crypto::MutableBytes out) override { Fill(out); }
};

TEST(Scram, TheRfcsExample) {
  ASSERT_TRUE(crypto::InitSecretMemory().ok());
  FixedSalt salt;
  EXPECT_EQ(ScramVerifier("pencil", salt),
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
            "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
}

TEST(Scram, PasswordsThatWouldNeedPreparationAreRefused) {
  EXPECT_TRUE(CheckPassword("12345678").ok());
  EXPECT_TRUE(CheckPassword(std::string(kMaxPasswordSize, '~')).ok());
  for (const std::string& bad :
       {std::string(), std::string("1234567"), std::string(kMaxPasswordSize + 1, 'a'),
        std::string("caf\xc3\xa9 olé olé"), std::string("tab\tulator"), std::string("nul\0nul nul", 11)}) {
    EXPECT_EQ(CauseOf(CheckPassword(bad)), Cause::kInvalidArgument) << bad;
  }
}

}  // namespace
}  // namespace keyhold::control
