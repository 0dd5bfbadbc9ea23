#include "tests/engine/fixture.h"

#include <sys/stat.h>

#include <array>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <fstream>

namespace keyhold::engine {

namespace fs = std::filesystem;

const char kVerifier[] =
    "SCRAM-SHA-256$4096:ZW5naW5lLXRlc3Qtc2FsdA==$v+qxJm61e+lhCkB19jPQJVauEuLcxyf9ox1uB2xDNwI=:"
    "YI4oS96kMFflwD23A4qQMEN1ucAcGxqy7TSVTg5jCy0=";
const char kOtherVerifier[] =
    "SCRAM-SHA-256$4096:ZW5naW5lLXRlc3Qtc2FsdQ==$NxSjILMxMTy1u4UEmjbRN6kelTIkf3/"
    "TtOjv79OFTbc=:57V+Uf0wdmveYybmZXVC3w5Hh4gve+tKf6XFHBDX47c=";

Session::Session(const std::string& socket_dir, const std::string& user, const std::string& password,
                 const std::string& database) {
  const char* names[] = {"host", "user", "password", "dbname", "connect_timeout", nullptr};
  const char* values[] = {socket_dir.c_str(), user.c_str(), password.c_str(),
                          database.c_str(),   "10",         nullptr};
  connection_ = PQconnectdbParams(names, values, 0);
  PQsetNoticeProcessor(
      connection_, [](void*, const char*) {}, nullptr);
}

Answer Session::Ask(const std::string& sql) {
  if (PQstatus(connection_) != CONNECTION_OK) return {"", PQerrorMessage(connection_)};
  PGresult* result = PQexec(connection_, sql.c_str());
  Answer answer;
  const ExecStatusType status = PQresultStatus(result);
  if (status == PGRES_TUPLES_OK && PQntuples(result) > 0) answer.value = PQgetvalue(result, 0, 0);
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
    answer.error = std::string("error: ") + PQerrorMessage(connection_);
  }
  PQclear(result);
  return answer;
}

void Session::Send(const std::string& sql) {
  ASSERT_EQ(PQsendQuery(connection_, sql.c_str()), 1) << PQerrorMessage(connection_);
}

EngineTest::EngineTest() {
  chmod(dir_.path().c_str(), 0755);
  options_.root = dir_.File("root");
  options_.socket_dir = dir_.File("sockets");
  mkdir(options_.root.c_str(), 0755);
  mkdir(options_.socket_dir.c_str(), 0700);
}

void EngineTest::Start() {
  postgres_.reset();
  auto started = Postgres::Start(options_, [] {});
  ASSERT_TRUE(started.ok()) << started.status();
  postgres_ = *std::move(started);
}

std::string EngineTest::AsSuperuser(const std::string& sql, const std::string& database) const {
  const std::string script = dir_.File("script.sql");
  testing::WriteFile(script, sql);
  return Shell("runuser -u postgres -- psql -X -q -A -t -h " + options_.socket_dir + " -U keyhold -d " +
               database + " < " + script);
}

pid_t EngineTest::PostmasterPid() const {
  pid_t pid = -1;
  std::ifstream(options_.root + "/data/postmaster.pid") >> pid;
  return pid;
}

std::vector<pid_t> EngineTest::Processes() const {
  std::vector<pid_t> found;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    std::error_code gone;
    if (isdigit(name[0]) != 0 && fs::read_symlink(entry.path() / "cwd", gone) == options_.root + "/data")
      found.push_back(std::stoi(name));
  }
  return found;
}

std::string Shell(const std::string& command) {
  FILE* pipe = popen(("{ " + command + "\n} 2>&1").c_str(), "r");
  std::array<char, 4096> buffer{};
  std::string output;
  while (const size_t got = fread(buffer.data(), 1, buffer.size(), pipe)) output.append(buffer.data(), got);
  pclose(pipe);
  return output;
}

}  // namespace keyhold::engine
