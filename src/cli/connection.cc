#include "cli/connection.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/text.h"

namespace keyhold::cli {

using nlohmann::json;

StatusOr<std::string> FetchCertificate(Session& session, const ApiClient& api, const std::string& id,
                                       const std::string& dir) {
  session.output().Progress("Downloading the cluster's certificate");
  KEYHOLD_ASSIGN_OR_RETURN(const std::string pem,
                           api.Download(absl::StrCat("/clusters/", PercentEncoded(id), "/cert")));
  if (pem.find("-----BEGIN CERTIFICATE-----") == std::string::npos) {
    return Error(Cause::kUnavailable, "the cluster has no certificate yet; wait until its state is CREATED");
  }
  return WriteCertificate(dir, PercentEncoded(id) + ".crt", pem);
}

std::string CertificateDir(Session& session) { return session.environment().config_dir + "/certs"; }

StatusOr<json> ConnectionString(const ApiClient& api, const json& cluster, const std::string& user,
                                const std::string& database, const std::string& region) {
  std::string path =
      absl::StrCat(ClusterPath(cluster), "/connection-string?database=", PercentEncoded(database));
  if (!user.empty()) absl::StrAppend(&path, "&sql_user=", PercentEncoded(user));
  if (!region.empty()) absl::StrAppend(&path, "&region=", PercentEncoded(region));
  return api.Get(path);
}

StatusOr<Connection> ConnectionTo(Session& session, const ApiClient& api, const json& cluster,
                                  const ConnectionWish& wish) {
  KEYHOLD_ASSIGN_OR_RETURN(const json answer,
                           ConnectionString(api, cluster, wish.user, wish.database, wish.region));
  const json params = answer.value("params", json::object());
  Connection connection{Text(params, "Host"), Text(params, "Port"), Text(params, "Database"), wish.user,
                        wish.ca_path};
  if (connection.ca_path.empty()) {
    KEYHOLD_ASSIGN_OR_RETURN(connection.ca_path,
                             FetchCertificate(session, api, Text(cluster, "id"), CertificateDir(session)));
  }
  return connection;
}

std::string UrlOf(const Connection& connection, const std::string& password) {
  std::string who = connection.user.empty() ? "" : PercentEncoded(connection.user);
  if (!who.empty() && !password.empty()) absl::StrAppend(&who, ":", PercentEncoded(password));
  const bool is_v6 = connection.host.find(':') != std::string::npos;
  const std::string host = is_v6 ? absl::StrCat("[", connection.host, "]") : connection.host;
  return absl::StrCat("postgresql://", who, who.empty() ? "" : "@", host, ":", connection.port, "/",
                      PercentEncoded(connection.database),
                      "?sslmode=verify-full&sslrootcert=", PercentEncoded(connection.ca_path));
}

// One line of a password file; every field but the password matches anything.
std::string PasswordFile(const std::string& password) {
  if (password.empty()) return "";
  return absl::StrCat("*:*:*:*:", absl::StrReplaceAll(password, {{"\\", "\\\\"}, {":", "\\:"}}), "\n");
}

}  // namespace keyhold::cli
