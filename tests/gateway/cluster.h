// A real PostgreSQL 15 on a Unix socket, and a gateway in front of it, for one test.
#pragma once

#include <memory>
#include <string>

#include "gateway/gateway.h"
#include "tests/base/temp_dir.h"

namespace keyhold::gateway {

struct Ran {
  int code = -1;
  std::string output;  // of both streams
};

// Runs `command` in a shell, to its end.
Ran Shell(const std::string& command);

using testing::TempDir;

// cert.pem and key.pem in `dir`, for 127.0.0.1 and ::1, signed by itself.
void MakeCertificate(const TempDir& dir);

// Stopped and removed with the object. Superuser "postgres" and user "app" (owner of database "app"), both
// with password "secret", which only SCRAM takes.
class Postgres {
 public:
  explicit Postgres(const std::string& settings = "");
  ~Postgres();
  Postgres(const Postgres&) = delete;
  Postgres& operator=(const Postgres&) = delete;

  std::string socket_path() const { return dir_.File(".s.PGSQL.5432"); }
  std::string socket_dir() const { return dir_.path(); }

 private:
  std::string AsPostgres(const std::string& command) const;

  TempDir dir_;
};

// Both, the gateway unlocked and open to loopback.
class Cluster {
 public:
  explicit Cluster(GatewayLimits limits = {}, const std::string& postgres_settings = "");

  Gateway& gateway() { return *gateway_; }
  const Postgres& postgres() const { return postgres_; }
  std::string Url(const std::string& user = "app", const std::string& more = "") const;
  std::string DirectUrl() const;
  std::string certificate() const { return tls_.File("cert.pem"); }
  // psql with `arguments` behind the URL; no .psqlrc, unaligned, tuples only.
  Ran Psql(const std::string& arguments, const std::string& user = "app") const;
  // Through the gateway, as a script on standard input.
  Ran Python(const std::string& script) const;
  const TempDir& scratch() const { return tls_; }

 private:
  TempDir tls_;
  Postgres postgres_;
  std::unique_ptr<Gateway> gateway_;
};

// Options that Cluster uses, for a gateway of one's own.
GatewayOptions OptionsFor(const TempDir& tls, const std::string& upstream_socket);

}  // namespace keyhold::gateway
