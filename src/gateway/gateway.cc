#include "gateway/gateway.h"

#include <spdlog/spdlog.h>
#include <sys/un.h>

#include <algorithm>
#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>
#include <csignal>
#include <thread>
#include <unordered_set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gateway/session.h"

namespace keyhold::gateway {
namespace {

using asio::ip::tcp;
constexpr size_t kBufferSize = 64 << 10;
constexpr int kAcceptRetryMs = 100;
constexpr int kBacklog = 1024;

// One thread and the sessions that live on it.
class Worker {
 public:
  Worker()
      : guard_(asio::make_work_guard(context_)),
        host_{.context = context_, .buffer = buffer_, .closed = [this](Session* session) {
                sessions_.erase(session->shared_from_this());
              }} {}

  ~Worker() { Stop(); }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void Start() {
    thread_ = std::thread([this] { Run(); });
  }

  void Adopt(Front& front, tcp::socket socket) {
    auto session = std::make_shared<Session>(front, host_, std::move(socket));
    asio::post(context_, [this, session] {
      sessions_.insert(session);
      session->Start();
    });
  }

  void EndAll(const LockReason& reason) {
    asio::post(context_, [this, reason] {
      const auto sessions = sessions_;
      for (const auto& session : sessions) session->End(reason);
    });
  }

  // Closes its sessions and joins the thread. Safe to call again.
  void Stop() {
    if (!thread_.joinable()) return;
    asio::post(context_, [this] {
      const auto sessions = sessions_;
      for (const auto& session : sessions) session->Close();
      guard_.reset();
      context_.stop();
    });
    thread_.join();
  }

  asio::io_context& context() { return context_; }

 private:
  void Run() {
    // OpenSSL writes with write(2); a client that is gone must be an error there, not a signal.
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    context_.run();
  }

  std::vector<char> buffer_ = std::vector<char>(kBufferSize);
  asio::io_context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard_;
  Session::Host host_;
  std::unordered_set<std::shared_ptr<Session>> sessions_;  // touched by the worker's thread only
  std::thread thread_;
};

Status BadListen(const std::string& listen) {
  return Error(Cause::kInvalidArgument,
               absl::StrCat("cannot listen on \"", listen, "\": write ADDR:PORT, or [ADDR]:PORT for IPv6"));
}

StatusOr<tcp::endpoint> ParseListen(const std::string& listen) {
  const size_t colon = listen.rfind(':');
  if (colon == std::string::npos) return BadListen(listen);
  std::string host = listen.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  int port = 0;
  std::error_code error;
  const asio::ip::address address = asio::ip::make_address(host, error);
  if (error || !absl::SimpleAtoi(listen.substr(colon + 1), &port) || port < 0 || port > 65535) {
    return BadListen(listen);
  }
  return tcp::endpoint(address, static_cast<uint16_t>(port));
}

Status Check(const GatewayOptions& options) {
  if (options.upstream_socket.empty() || options.upstream_socket.size() >= sizeof(sockaddr_un::sun_path)) {
    return Error(Cause::kInvalidArgument,
                 absl::StrCat("the path of PostgreSQL's socket must have 1 to 107 bytes: \"",
                              options.upstream_socket, "\""));
  }
  if (options.threads < 1) return Error(Cause::kInvalidArgument, "the gateway needs at least one thread");
  return OkStatus();
}

class GatewayImpl : public Gateway {
 public:
  GatewayImpl(const GatewayOptions& options, Allowlist allowlist, SslContext tls)
      : front_(options, std::move(allowlist), std::move(tls)),
        workers_(static_cast<size_t>(options.threads)),
        acceptor_(workers_[0].context()),
        retry_(workers_[0].context()) {}

  ~GatewayImpl() override {
    for (Worker& worker : workers_) worker.Stop();
  }

  Status Listen(const tcp::endpoint& endpoint) {
    std::error_code error;
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(kBacklog, error);
    if (!error) acceptor_.non_blocking(true, error);
    if (error) {
      return ErrnoError(error.value(), absl::StrCat("cannot listen on ", endpoint.address().to_string(), ":",
                                                    endpoint.port()));
    }
    port_ = acceptor_.local_endpoint().port();
    Accept();
    for (Worker& worker : workers_) worker.Start();
    return OkStatus();
  }

  uint16_t port() const override { return port_; }

  Status SetAllowlist(const std::vector<std::string>& cidrs) override {
    KEYHOLD_ASSIGN_OR_RETURN(Allowlist allowlist, Allowlist::Parse(cidrs));
    front_.SetAllowlist(std::move(allowlist));
    return OkStatus();
  }

  Status RenewCertificate(const std::string& certificate_path, const std::string& key_path) override {
    KEYHOLD_ASSIGN_OR_RETURN(SslContext tls, MakeServerContext(certificate_path, key_path));
    front_.SetTls(std::move(tls));
    return OkStatus();
  }

  // DESIGN, "Revocation": refuses new sessions, ends the open ones, and knows when the last is gone.
  void Lock(const LockReason& reason) override {
    front_.Shut(reason);
    for (Worker& worker : workers_) worker.EndAll(reason);
    const auto limit = absl::Milliseconds(front_.limits.end_timeout_ms) * 2;
    const bool all = front_.AwaitAllClosed(limit);
    spdlog::info("gateway locked: {} ({})", reason.message, CauseName(reason.cause));
    if (!all) spdlog::error("gateway: {} connections to PostgreSQL would not close", front_.upstreams());
  }

  void Unlock() override {
    front_.Open();
    spdlog::info("gateway open on port {}", port_);
  }

  GatewayStats stats() const override {
    const Counters& counters = front_.counters;
    return {.sessions = counters.sessions,
            .relayed = front_.upstreams(),
            .accepted = counters.accepted,
            .refused = counters.refused,
            .ended = counters.ended,
            .cancels = counters.cancels,
            .rewritten = counters.rewritten,
            .bytes_from_clients = counters.bytes_from_clients,
            .bytes_to_clients = counters.bytes_to_clients};
  }

 private:
  void Accept() {
    Worker& worker = workers_[next_++ % workers_.size()];
    acceptor_.async_accept(worker.context(), [this, &worker](std::error_code error, tcp::socket socket) {
      if (error == asio::error::operation_aborted) return;
      if (error) return AcceptLater(error);
      Admit(worker, std::move(socket));
      Accept();
    });
  }

  // Out of descriptors: those that are open must close first.
  void AcceptLater(const std::error_code& why) {
    spdlog::warn("gateway: cannot accept: {}", why.message());
    retry_.expires_after(std::chrono::milliseconds(kAcceptRetryMs));
    retry_.async_wait([this](std::error_code error) {
      if (!error) Accept();
    });
  }

  void Admit(Worker& worker, tcp::socket socket) {
    ++front_.counters.accepted;
    const bool flooded = front_.counters.starting >= static_cast<uint64_t>(front_.limits.max_starting);
    std::error_code error;
    socket.non_blocking(true, error);
    if (flooded || error) return;
    worker.Adopt(front_, std::move(socket));
  }

  Front front_;
  std::vector<Worker> workers_;
  tcp::acceptor acceptor_;
  asio::steady_timer retry_;
  uint16_t port_ = 0;
  size_t next_ = 0;  // touched by worker 0 only, once it runs
};

}  // namespace

StatusOr<std::unique_ptr<Gateway>> Gateway::Start(GatewayOptions options) {
  KEYHOLD_RETURN_IF_ERROR(Check(options));
  KEYHOLD_ASSIGN_OR_RETURN(const tcp::endpoint endpoint, ParseListen(options.listen));
  KEYHOLD_ASSIGN_OR_RETURN(Allowlist allowlist, Allowlist::Parse(options.allowlist));
  KEYHOLD_ASSIGN_OR_RETURN(SslContext tls, MakeServerContext(options.certificate_path, options.key_path));
  auto gateway = std::make_unique<GatewayImpl>(options, std::move(allowlist), std::move(tls));
  KEYHOLD_RETURN_IF_ERROR(gateway->Listen(endpoint));
  return gateway;
}

}  // namespace keyhold::gateway
