#include "gateway/gateway.h"

#include <arpa/inet.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <asio/ip/tcp.hpp>
#include <cerrno>
#include <csignal>
#include <deque>
#include <thread>
#include <unordered_set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gateway/session.h"

namespace keyhold::gateway {
namespace {

using asio::ip::tcp;
constexpr size_t kBufferSize = 64 << 10;
constexpr std::chrono::milliseconds kAcceptRetry(100);
constexpr int kBacklog = 1024;

// One thread and the sessions that live on it.
class Worker {
 public:
  explicit Worker(std::unique_ptr<Loop> loop)
      : loop_(std::move(loop)), host_{.loop = *loop_, .buffer = buffer_, .closed = [this](Session* session) {
                                        sessions_.erase(session->shared_from_this());
                                      }} {}

  ~Worker() { Stop(); }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void Start() {
    thread_ = std::thread([this] { Run(); });
  }

  // Of `most` that have not logged in, the one that has been at it for the longest makes room.
  void Adopt(Front& front, int fd, std::string address, size_t most) {
    loop_->Post([this, most, session = std::make_shared<Session>(front, host_, fd, std::move(address))] {
      MakeRoom(most);
      sessions_.insert(session);
      starting_.push_back(session);
      session->Start();
    });
  }

  void EndAll(const LockReason& reason) {
    loop_->Post([this, reason] {
      const auto sessions = sessions_;
      for (const auto& session : sessions) session->End(reason);
    });
  }

  // Closes its sessions and joins the thread. Safe to call again.
  void Stop() {
    if (!thread_.joinable()) return;
    loop_->Post([this] {
      const auto sessions = sessions_;
      for (const auto& session : sessions) session->Close();
    });
    loop_->Stop();
    thread_.join();
  }

  Loop& loop() { return *loop_; }

 private:
  void MakeRoom(size_t most) {
    if (starting_.size() < most) return;
    std::erase_if(starting_, [](const auto& one) { return one.expired() || !one.lock()->starting(); });
    if (starting_.size() < most) return;
    starting_.front().lock()->Close();
    starting_.pop_front();
  }

  void Run() {
    // A client that is gone must be an error where OpenSSL writes, not a signal.
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    loop_->Run();
  }

  const std::unique_ptr<Loop> loop_;
  std::vector<char> buffer_ = std::vector<char>(kBufferSize);
  Session::Host host_;
  std::unordered_set<std::shared_ptr<Session>> sessions_;  // touched by the worker's thread only
  std::deque<std::weak_ptr<Session>> starting_;  // likewise; by arrival, with some that do so no longer
  std::thread thread_;
};

// In text, without a zone; of IPv4 also when it comes mapped into IPv6.
std::string AddressOf(const sockaddr_storage& peer) {
  char text[INET6_ADDRSTRLEN] = "";
  if (peer.ss_family == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(peer).sin_addr, text, sizeof text);
    return text;
  }
  const in6_addr& address = reinterpret_cast<const sockaddr_in6&>(peer).sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&address)) {
    inet_ntop(AF_INET, address.s6_addr + 12, text, sizeof text);
  } else {
    inet_ntop(AF_INET6, &address, text, sizeof text);
  }
  return text;
}

// The listening socket, on one worker's loop.
class Acceptor : public Watcher {
 public:
  using Admit = std::function<void(int fd, std::string address)>;

  Acceptor(Loop& loop, Admit admit) : loop_(loop), admit_(std::move(admit)) {}
  ~Acceptor() override {
    if (fd_ >= 0) close(fd_);
  }
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // Before the loop runs. The port that it got.
  StatusOr<uint16_t> Listen(const tcp::endpoint& endpoint) {
    fd_ = socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    if (fd_ < 0 || setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd_, endpoint.data(), static_cast<socklen_t>(endpoint.size())) != 0 ||
        listen(fd_, kBacklog) != 0 || getsockname(fd_, reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
      const int error = errno;
      return ErrnoError(
          error, absl::StrCat("cannot listen on ", endpoint.address().to_string(), ":", endpoint.port()));
    }
    id_ = loop_.Enroll(this);
    KEYHOLD_RETURN_IF_ERROR(loop_.Watch(id_, 0, fd_));
    return ntohs(bound.ss_family == AF_INET ? reinterpret_cast<const sockaddr_in&>(bound).sin_port
                                            : reinterpret_cast<const sockaddr_in6&>(bound).sin6_port);
  }

  void Ready(int, bool, bool) override { Accept(); }
  void Expired() override { Accept(); }

 private:
  void Accept() {
    while (true) {
      sockaddr_storage peer{};
      socklen_t size = sizeof peer;
      const int fd = accept4(fd_, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) {
        admit_(fd, AddressOf(peer));
      } else if (errno == EAGAIN) {
        return;
      } else if (errno != ECONNABORTED && errno != EINTR) {
        return AcceptLater(errno);
      }
    }
  }

  // Out of descriptors: those that are open must close first.
  void AcceptLater(int error) {
    spdlog::warn("gateway: cannot accept: {}", std::generic_category().message(error));
    loop_.SetDeadline(id_, kAcceptRetry);
  }

  Loop& loop_;
  const Admit admit_;
  uint64_t id_ = 0;
  int fd_ = -1;
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
      : front_(options, std::move(allowlist), std::move(tls)) {}

  ~GatewayImpl() override {
    for (const auto& worker : workers_) worker->Stop();
  }

  Status Start(int threads, const tcp::endpoint& endpoint) {
    for (int i = 0; i < threads; ++i) {
      KEYHOLD_ASSIGN_OR_RETURN(std::unique_ptr<Loop> loop, Loop::Make());
      workers_.push_back(std::make_unique<Worker>(std::move(loop)));
    }
    acceptor_ = std::make_unique<Acceptor>(
        workers_[0]->loop(), [this](int fd, std::string address) { Admit(fd, std::move(address)); });
    KEYHOLD_ASSIGN_OR_RETURN(port_, acceptor_->Listen(endpoint));
    for (const auto& worker : workers_) worker->Start();
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
    for (const auto& worker : workers_) worker->EndAll(reason);
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
  void Admit(int fd, std::string address) {
    ++front_.counters.accepted;
    const size_t most = std::max<size_t>(1, front_.limits.max_starting / workers_.size());
    workers_[next_++ % workers_.size()]->Adopt(front_, fd, std::move(address), most);
  }

  Front front_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<Acceptor> acceptor_;
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
  KEYHOLD_RETURN_IF_ERROR(gateway->Start(options.threads, endpoint));
  return gateway;
}

}  // namespace keyhold::gateway
