#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "cli/commands/groups.h"
#include "cli/connection.h"
#include "cli/session.h"

namespace keyhold::cli {
namespace {

using nlohmann::json;

StatusOr<Connection> Connect(Session& session, const Arguments& arguments, const std::string& user) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json cluster, session.FindCluster(api, arguments.Text("NAME")));
  return ConnectionTo(session, api, cluster,
                      {arguments.Text("--region"), arguments.Text("--database", "defaultdb"), user,
                       arguments.Text("--cert-path")});
}

void PrintParams(Output& output, const Connection& connection) {
  if (output.json()) {
    output.Json({{"database", connection.database},
                 {"host", connection.host},
                 {"port", connection.port},
                 {"username", connection.user},
                 {"sslrootcert", connection.ca_path}});
    return;
  }
  output.Line("Connection parameters");
  output.Line(" Database:  " + connection.database);
  output.Line(" Host:      " + connection.host);
  output.Line(" Port:      " + connection.port);
  if (!connection.user.empty()) output.Line(" Username:  " + connection.user);
  output.Line(" CA:        " + connection.ca_path);
}

Status Sql(Session& session, const Arguments& arguments) {
  const std::string user = arguments.Text("--user");
  KEYHOLD_ASSIGN_OR_RETURN(const Connection connection, Connect(session, arguments, user));
  const std::string password = arguments.Text("--password");
  if (arguments.Has("--connection-params")) {
    PrintParams(session.output(), connection);
    return OkStatus();
  }
  if (arguments.Has("--connection-url")) {
    const std::string url = UrlOf(connection, password);
    session.output().json() ? session.output().Json({{"connection_url", url}}) : session.output().Line(url);
    return OkStatus();
  }
  session.output().Note("Starting psql ...");
  std::vector<std::string> psql = {"psql", UrlOf(connection, "")};
  if (arguments.Has("--execute")) psql.insert(psql.end(), {"-c", arguments.Text("--execute")});
  return session.environment().exec_psql(psql, PasswordFile(password));
}

Status ConnectionStringCommand(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json cluster, session.FindCluster(api, arguments.Text("NAME")));
  KEYHOLD_ASSIGN_OR_RETURN(
      json answer, ConnectionString(api, cluster, arguments.Text("--sql-user"),
                                    arguments.Text("--database", "defaultdb"), arguments.Text("--region")));
  if (session.output().json()) {
    answer["connection_url"] = Text(answer, "connection_string");
    session.output().Json(answer);
  } else {
    session.output().Line(Text(answer, "connection_string"));
  }
  return OkStatus();
}

Status Cert(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json cluster, session.FindCluster(api, arguments.Text("NAME")));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string path,
                           FetchCertificate(session, api, Text(cluster, "id"),
                                            arguments.Text("--cert-dir", CertificateDir(session))));
  if (session.output().json()) {
    session.output().Json({{"path", path}});
    return OkStatus();
  }
  session.output().Line("Success! Downloaded certificate");
  session.output().Field("path", path);
  return OkStatus();
}

}  // namespace

std::vector<Command> SqlCommands() {
  const Positional name = {"NAME", "Name or id of the cluster"};
  const Option region = {"--region", "REGION", "Of a cluster of several regions (default: the primary)"};
  const Option database = {"--database", "DB", "The database (default defaultdb)"};
  return {
      {"cluster sql",
       "Open a SQL shell (psql), or print how to connect",
       "ccloud cluster sql demo -u maya -p PASSWORD\npsql \"$(ccloud cluster sql demo -u maya -p PASSWORD "
       "--connection-url)\"",
       {name},
       {{"--user", "USER", "SQL user", "-u"},
        {"--password", "PW", "Its password (psql asks when it is left out)", "-p"},
        database,
        region,
        {"--connection-url", "", "Print the URL for psql and drivers, and stop"},
        {"--connection-params", "", "Print host, port and certificate, and stop"},
        {"--execute", "SQL", "Run this and stop", "-e"},
        {"--cert-path", "FILE", "Verify with this certificate instead of the downloaded one"}},
       Sql},
      {"cluster connection-string",
       "Print a cluster's connection string",
       "ccloud cluster connection-string demo --sql-user maya",
       {name},
       {{"--sql-user", "USER", "SQL user"},
        database,
        region,
        {"--os", "MAC|LINUX|WINDOWS", "For this operating system: the string is the same on all"}},
       ConnectionStringCommand},
      {"cluster cert",
       "Download the certificate that verifies a cluster's SQL port",
       "ccloud cluster cert demo --cert-dir .",
       {name},
       {{"--cert-dir", "DIR", "Where to put it (default: ccloud's configuration)"}},
       Cert},
  };
}

}  // namespace keyhold::cli
