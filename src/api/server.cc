#include "api/server.h"

#include <httplib.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <cerrno>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "api/failed_logins.h"
#include "api/http_status.h"
#include "api/json_input.h"
#include "api/listener.h"
#include "api/router.h"
#include "base/database_file.h"
#include "control/audit.h"
#include "control/organization.h"
#include "crypto/hash.h"

namespace keyhold::api {
namespace {

constexpr int kBacklog = 1024;
constexpr size_t kMaxRequestsPerConnection = 10'000;
constexpr char kApiVersion[] = "2024-09-16";
constexpr char kLockedOut[] = "too many API keys that are not valid came from this address; try again later";

struct Address {
  std::string host;
  int port = 0;
};

StatusOr<Address> ParseAddress(const std::string& listen) {
  const size_t colon = listen.rfind(':');
  Address address;
  if (colon == std::string::npos || colon == 0 ||
      !absl::SimpleAtoi(listen.substr(colon + 1), &address.port) || address.port < 0 ||
      address.port > 65535) {
    return Error(Cause::kInvalidArgument,
                 absl::StrCat("the server's address ", listen, " must be ADDR:PORT"));
  }
  address.host = listen.substr(0, colon);
  if (address.host.size() > 2 && address.host.front() == '[') {
    address.host = address.host.substr(1, address.host.size() - 2);
  }
  return address;
}

Status EnsureDirectory(const std::string& path) {
  if (mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return OkStatus();
  return ErrnoError(errno, path);
}

// httplib's default is SO_REUSEPORT, which would let two servers share a port.
void ReuseAddress(socket_t socket) {
  const int on = 1;
  setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
}

std::string BearerOf(const httplib::Request& request) {
  constexpr std::string_view kScheme = "Bearer ";
  const std::string header = request.get_header_value("Authorization");
  return header.starts_with(kScheme) ? header.substr(kScheme.size()) : "";
}

Request Convert(const httplib::Request& in, std::map<std::string, std::string> path) {
  Request request{in.method, std::move(path), {}, in.body, {}};
  for (const auto& [name, value] : in.params) request.query.emplace(name, value);
  return request;
}

void Send(const Reply& reply, httplib::Response& response) {
  response.status = reply.status;
  response.set_content(reply.body, reply.content_type.c_str());
  for (const auto& [name, value] : reply.headers) response.set_header(name.c_str(), value);
}

void SendError(const Status& status, httplib::Response& response) {
  Reply reply = Reply::Json(ErrorBody(status));
  reply.status = HttpStatusOf(CauseOf(status)).http;
  if (reply.status == 401) response.set_header("WWW-Authenticate", "Bearer");
  if (reply.status == 429 || reply.status == 503) response.set_header("Retry-After", "1");
  if (reply.status == 500 || reply.status == 507)
    spdlog::error("answered {}: {}", reply.status, std::string(status.message()));
  Send(reply, response);
}

// What httplib itself refused: it has a status but no body.
httplib::Server::HandlerResponse DescribeError(const httplib::Request&, httplib::Response& response) {
  if (!response.body.empty()) return httplib::Server::HandlerResponse::Unhandled;
  const int status = response.status;
  const std::string message = status == 413 ? absl::StrCat("the body is larger than ", kMaxBodySize, " bytes")
                                            : "the request is not valid HTTP";
  Reply reply = Reply::Json(ErrorBody(Error(Cause::kInvalidArgument, message)));
  reply.status = status;
  Send(reply, response);
  return httplib::Server::HandlerResponse::Handled;
}

// A request that could be read in two ways is answered, and its connection closed (listener.h).
httplib::Server::HandlerResponse RefuseAmbiguous(const httplib::Request& request,
                                                 httplib::Response& response) {
  const std::string why = AmbiguityOf(request);
  if (why.empty()) return httplib::Server::HandlerResponse::Unhandled;
  SendError(Error(Cause::kInvalidArgument, "the request is ambiguous: " + why), response);
  return httplib::Server::HandlerResponse::Handled;
}

class HttpServer final : public Server {
 public:
  static StatusOr<std::unique_ptr<Server>> Make(const ServerOptions& options, Clock& clock,
                                                crypto::Random& random) {
    std::unique_ptr<HttpServer> server(new HttpServer(options));
    KEYHOLD_RETURN_IF_ERROR(server->Open(options, clock, random));
    KEYHOLD_RETURN_IF_ERROR(server->Secure(options));
    KEYHOLD_RETURN_IF_ERROR(server->Listen(options.listen));
    return std::unique_ptr<Server>(std::move(server));
  }

  ~HttpServer() override { HttpServer::Stop(); }

  uint16_t port() const override { return port_; }

  void Stop() override {
    changes_.Close();
    http_.stop();
    if (thread_.joinable()) thread_.join();
  }

 private:
  explicit HttpServer(const ServerOptions& options)
      : too_fast_(absl::StrCat("rate limit exceeded: an API key may make ", options.requests_per_second,
                               " requests per second; try again later")),
        rate_limit_(options.requests_per_second),
        failed_logins_(options.failed_logins_allowed) {}

  Status Open(const ServerOptions& options, Clock& clock, crypto::Random& random) {
    const std::string dir = options.dir + "/server";
    KEYHOLD_RETURN_IF_ERROR(EnsureDirectory(dir));
    const std::string database = dir + "/keyhold.db";
    KEYHOLD_RETURN_IF_ERROR(CheckDatabaseKept(database, dir + "/agent-token"));
    KEYHOLD_ASSIGN_OR_RETURN(store_, control::Store::Open(database));
    const control::Core core{
        *store_, changes_, clock, random, options.check_timeout, options.observe_timeout};
    const control::FleetOptions fleet{options.probe_interval, options.unreachable_grace,
                                      options.data_key_max_age};
    services_ = std::make_unique<Services>(core, fleet);
    services_->principals = {options.aws_principal_arn, options.gcp_service_account, options.azure_client_id};
    KEYHOLD_RETURN_IF_ERROR(control::Bootstrap(services_->core, dir));
    KEYHOLD_ASSIGN_OR_RETURN(agent_token_, control::ReadAgentToken(dir));
    return control::ApplyFleetOptions(services_->core, fleet);
  }

  Status Secure(const ServerOptions& options) {
    ConnectionLimits limits;
    limits.request = absl::ToChronoMilliseconds(options.request_timeout);
    http_.set_limits(limits);
    http_.set_threads(options.threads);
    if (options.tls_certificate.empty() && options.tls_key.empty()) return OkStatus();
    KEYHOLD_ASSIGN_OR_RETURN(crypto::SslContext tls,
                             crypto::MakeServerContext(options.tls_certificate, options.tls_key));
    http_.set_tls(std::move(tls));
    return OkStatus();
  }

  Status Listen(const std::string& where) {
    KEYHOLD_ASSIGN_OR_RETURN(const Address address, ParseAddress(where));
    Configure();
    const bool any = address.port == 0;
    const int port = any ? http_.bind_to_any_port(address.host)
                         : (http_.bind_to_port(address.host, address.port) ? address.port : -1);
    if (port <= 0) {
      return Error(
          Cause::kUnavailable,
          absl::StrCat("cannot listen on ", where,
                       ": the port is in use or the address is not of this machine; choose another"));
    }
    port_ = static_cast<uint16_t>(port);
    // httplib asks for a backlog of 5, beyond which connections are dropped.
    if (::listen(listener_, kBacklog) != 0) return ErrnoError(errno, "listen");
    thread_ = std::thread([this] { http_.listen_after_bind(); });
    // stop() is without effect before this.
    while (!http_.is_running()) std::this_thread::yield();
    return OkStatus();
  }

  void Configure() {
    http_.set_socket_options([this](socket_t socket) {
      ReuseAddress(socket);
      listener_ = socket;
    });
    http_.set_tcp_nodelay(true);
    http_.set_keep_alive_max_count(kMaxRequestsPerConnection);
    http_.set_payload_max_length(kMaxBodySize);
    http_.set_pre_routing_handler(httplib::Server::HandlerWithResponse(RefuseAmbiguous));
    http_.set_error_handler(httplib::Server::HandlerWithResponse(DescribeError));
    http_.set_exception_handler([](const auto&, auto& response, const std::exception_ptr&) {
      SendError(Error(Cause::kInternal, "a handler threw"), response);
    });
    const auto handle = [this](const httplib::Request& request, httplib::Response& response) {
      Handle(request, response);
    };
    http_.Get(".*", handle).Post(".*", handle).Put(".*", handle).Patch(".*", handle).Delete(".*", handle);
    http_.Options(".*", handle);
  }

  void Handle(const httplib::Request& in, httplib::Response& response) {
    if (in.path.starts_with("/api/")) response.set_header("Cc-Version", kApiVersion);
    const auto reply = Answer(in);
    if (!reply.ok()) return SendError(reply.status(), response);
    Send(*reply, response);
  }

  StatusOr<Reply> Answer(const httplib::Request& in) {
    const std::string method = in.method == "HEAD" ? "GET" : in.method;
    Match match = FindRoute(method, in.target);
    if (match.route == nullptr) return Unknown(in, match);
    Request request = Convert(in, std::move(match.path));
    KEYHOLD_RETURN_IF_ERROR(CheckVersion(in));
    const Status admitted = Admit(in, match.route->access, request);
    if (CauseOf(admitted) == Cause::kUnauthenticated && !BearerOf(in).empty()) return Locked(in, admitted);
    KEYHOLD_RETURN_IF_ERROR(admitted);
    const absl::Duration wait = TakeTurn(request.caller);
    if (wait > absl::ZeroDuration()) return TooMany(too_fast_, wait);
    StatusOr<Reply> reply = Run(*match.route, request);
    if (!reply.ok()) LogRefusal(*match.route, request, reply.status());
    return reply;
  }

  StatusOr<Reply> Run(const Route& route, const Request& request) {
    KEYHOLD_RETURN_IF_ERROR(Authorize(route, request));
    if (route.handler != nullptr) return route.handler(*services_, request);
    return Error(Cause::kUnimplemented, absl::StrCat(request.method, " ", std::string(route.pattern),
                                                     " is not offered by this Keyhold yet"));
  }

  // A refused change that no service has written of.
  void LogRefusal(const Route& route, const Request& request, const Status& status) {
    if (route.action.empty()) return;
    const auto id = request.path.find("cluster_id");
    control::AuditRefusal(services_->core, request.caller, std::string(route.action),
                          id == request.path.end() ? "" : id->second, status);
  }

  // Who guesses is not told for ever that it was wrong.
  StatusOr<Reply> Locked(const httplib::Request& in, const Status& refused) {
    const absl::Duration wait = failed_logins_.Add(in.remote_addr, services_->core.clock.Now());
    if (wait > absl::ZeroDuration()) return TooMany(kLockedOut, wait);
    return refused;
  }

  static Status CheckVersion(const httplib::Request& in) {
    const std::string version = in.get_header_value("Cc-Version");
    if (version.empty() || version == kApiVersion || !in.path.starts_with("/api/")) return OkStatus();
    return Error(Cause::kInvalidArgument, absl::StrCat("Cc-Version: this server speaks version ", kApiVersion,
                                                       " of the Cloud API and no other"));
  }

  absl::Duration TakeTurn(const control::Caller& caller) {
    if (caller.api_key_id.empty()) return absl::ZeroDuration();
    return rate_limit_.Take(caller.api_key_id, services_->core.clock.Now());
  }

  static StatusOr<Reply> Unknown(const httplib::Request& in, const Match& match) {
    if (!match.other_method) {
      return Error(Cause::kNotFound, "there is nothing at this path; the Cloud API is below /api/v1");
    }
    Reply reply = Reply::Json(
        ErrorBody(Error(Cause::kUnimplemented, absl::StrCat("this path does not take ", in.method))));
    reply.status = 405;
    return reply;
  }

  Status Admit(const httplib::Request& in, Access access, Request& request) {
    if (access == Access::kOpen) return OkStatus();
    const std::string bearer = BearerOf(in);
    if (bearer.empty()) {
      return Error(Cause::kUnauthenticated, "an API key is needed: Authorization: Bearer CCDB1_...");
    }
    const bool is_agent = crypto::ConstantTimeEqual(crypto::AsBytes(bearer), agent_token_.Expose());
    if (access == Access::kAgent && is_agent) return OkStatus();
    if (is_agent) return Error(Cause::kPermissionDenied, "the agents' token may not call the Cloud API");
    KEYHOLD_ASSIGN_OR_RETURN(request.caller, services_->api_keys.Authenticate(bearer));
    request.caller.ip_address = in.remote_addr;
    request.caller.audited = std::make_shared<bool>(false);
    if (access == Access::kAgent) {
      return Error(Cause::kPermissionDenied, "this is for agents, with the agents' token");
    }
    const bool is_cli = in.get_header_value("User-Agent").starts_with("ccloud");
    request.caller.source = is_cli ? "AUDIT_LOG_SOURCE_CLI" : "AUDIT_LOG_SOURCE_CC_API";
    return OkStatus();
  }

  control::Changes changes_;
  std::unique_ptr<control::Store> store_;
  std::unique_ptr<Services> services_;
  crypto::SecretBytes agent_token_;
  const std::string too_fast_;
  RateLimit rate_limit_;
  FailedLogins failed_logins_;
  Listener http_;
  socket_t listener_ = INVALID_SOCKET;
  std::thread thread_;
  uint16_t port_ = 0;
};

}  // namespace

StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options, Clock& clock,
                                                crypto::Random& random) {
  return HttpServer::Make(options, clock, random);
}

Status RunServer(const ServerOptions& options, const std::function<void(uint16_t port)>& ready) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  KEYHOLD_ASSIGN_OR_RETURN(const auto server, Server::Start(options, SystemClock(), crypto::SystemRandom()));
  ready(server->port());
  int signal = 0;
  sigwait(&signals, &signal);
  server->Stop();
  return OkStatus();
}

}  // namespace keyhold::api
