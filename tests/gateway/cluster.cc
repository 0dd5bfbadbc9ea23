#include "tests/gateway/cluster.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "absl/strings/str_cat.h"

namespace keyhold::gateway {
namespace {

constexpr char kBin[] = "/usr/lib/postgresql/15/bin/";

void MustRun(const std::string& command) {
  const Ran ran = Shell(command);
  if (ran.code != 0) {
    std::fprintf(stderr, "%s\nfailed with %d: %s\n", command.c_str(), ran.code, ran.output.c_str());
    std::abort();
  }
}

}  // namespace

Ran Shell(const std::string& command) {
  Ran ran;
  FILE* pipe = popen(("{ " + command + "\n} 2>&1").c_str(), "r");
  if (pipe == nullptr) return ran;
  std::array<char, 4096> buffer{};
  while (const size_t got = fread(buffer.data(), 1, buffer.size(), pipe))
    ran.output.append(buffer.data(), got);
  const int status = pclose(pipe);
  ran.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ran;
}

void MakeCertificate(const TempDir& dir) {
  MustRun(absl::StrCat(
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test ",
      "-addext subjectAltName=IP:127.0.0.1,IP:::1 -keyout ", dir.File("key.pem"), " -out ",
      dir.File("cert.pem")));
}

std::string Postgres::AsPostgres(const std::string& command) const {
  return absl::StrCat("cd ", dir_.path(), " && runuser -u postgres -- ", kBin, command);
}

Postgres::Postgres(const std::string& settings) {
  MustRun("chown postgres " + dir_.path());
  std::ofstream(dir_.File("password")) << "secret\n";
  MustRun(AsPostgres(absl::StrCat("initdb -D ", dir_.File("data"),
                                  " -U postgres -A scram-sha-256 --no-sync -E UTF8 ",
                                  "--locale=C.UTF-8 --pwfile=", dir_.File("password"))));
  MustRun(AsPostgres(absl::StrCat("pg_ctl -w -D ", dir_.File("data"), " -l ", dir_.File("log"), " -o \"-k ",
                                  dir_.path(), " -c listen_addresses= -c fsync=off ", settings, "\" start")));
  MustRun(absl::StrCat(
      "PGPASSWORD=secret psql -X -q -h ", dir_.path(),
      " -U postgres -c \"CREATE ROLE app LOGIN PASSWORD 'secret'\" -c 'CREATE DATABASE app OWNER app'"));
}

Postgres::~Postgres() {
  const Ran ran = Shell(AsPostgres(absl::StrCat("pg_ctl -w -m immediate -D ", dir_.File("data"), " stop")));
  EXPECT_EQ(ran.code, 0) << ran.output;
}

GatewayOptions OptionsFor(const TempDir& tls, const std::string& upstream_socket) {
  GatewayOptions options;
  options.upstream_socket = upstream_socket;
  options.certificate_path = tls.File("cert.pem");
  options.key_path = tls.File("key.pem");
  options.allowlist = {"127.0.0.0/8", "::1"};
  options.cluster_settings["enterprise.encryption.type"] = [] { return std::string("AES-256-GCM"); };
  return options;
}

Cluster::Cluster(GatewayLimits limits, const std::string& postgres_settings) : postgres_(postgres_settings) {
  MakeCertificate(tls_);
  GatewayOptions options = OptionsFor(tls_, postgres_.socket_path());
  options.limits = limits;
  auto gateway = Gateway::Start(options);
  if (!gateway.ok()) {
    ADD_FAILURE() << gateway.status();
    std::abort();
  }
  gateway_ = *std::move(gateway);
  gateway_->Unlock();
}

std::string Cluster::Url(const std::string& user, const std::string& more) const {
  return absl::StrCat("postgresql://", user, ":secret@127.0.0.1:", gateway_->port(),
                      "/app?sslmode=verify-full&sslrootcert=", certificate(), more);
}

std::string Cluster::DirectUrl() const {
  return absl::StrCat("host=", postgres_.socket_dir(), " user=app password=secret dbname=app");
}

Ran Cluster::Psql(const std::string& arguments, const std::string& user) const {
  return Shell(absl::StrCat("psql -X -At -v ON_ERROR_STOP=1 '", Url(user), "' ", arguments));
}

Ran Cluster::Python(const std::string& script) const {
  const std::string path = tls_.File("script.py");
  std::ofstream(path) << "import os, psycopg2\nurl = os.environ['URL']\n" << script;
  return Shell(absl::StrCat("URL='", Url(), "' /usr/bin/python3 ", path));
}

}  // namespace keyhold::gateway
