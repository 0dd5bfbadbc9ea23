// How a cluster's SQL is reached: address, certificate, and what psql takes of both.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/session.h"

namespace keyhold::cli {

struct Connection {
  std::string host;
  std::string port;
  std::string database;
  std::string user;
  std::string ca_path;
};

struct ConnectionWish {
  std::string region;  // empty: the primary
  std::string database = "defaultdb";
  std::string user;
  std::string ca_path;  // empty: downloaded, and kept in ccloud's configuration directory
};

// kUnavailable: the cluster has no address or certificate yet.
StatusOr<Connection> ConnectionTo(Session& session, const ApiClient& api, const nlohmann::json& cluster,
                                  const ConnectionWish& wish);

// GetConnectionStringResponse.
StatusOr<nlohmann::json> ConnectionString(const ApiClient& api, const nlohmann::json& cluster,
                                          const std::string& user, const std::string& database,
                                          const std::string& region);

// Downloads the certificate into `dir`; its path.
StatusOr<std::string> FetchCertificate(Session& session, const ApiClient& api, const std::string& cluster_id,
                                       const std::string& dir);
std::string CertificateDir(Session& session);

// A URL for psql and drivers, certificate verified. An empty `password` leaves it out.
std::string UrlOf(const Connection& connection, const std::string& password);

// The text of a password file with `password` alone; empty for none.
std::string PasswordFile(const std::string& password);

}  // namespace keyhold::cli
