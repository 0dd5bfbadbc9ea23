#include "localcloud/proxy.h"

#include <arpa/inet.h>
#include <httplib.h>

#include <condition_variable>
#include <deque>
#include <optional>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "localcloud/connect_request.h"
#include "localcloud/connection.h"

namespace keyhold::localcloud {
namespace {

// A client that waits longer for an answer that was ordered never to come has waited long enough.
constexpr std::chrono::hours kLongestHang{1};

// The HTTP library's view of a connection.
class ConnectionStream : public httplib::Stream {
 public:
  explicit ConnectionStream(Connection& connection) : connection_(connection) {}
  bool is_readable() const override { return true; }
  bool is_writable() const override { return true; }
  ssize_t read(char* data, size_t size) override { return connection_.Read(data, size); }
  ssize_t write(const char* data, size_t size) override { return connection_.Write(data, size); }
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return connection_.socket(); }

  void get_remote_ip_and_port(std::string& ip, int& port) const override {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    char host[NI_MAXHOST];
    if (getpeername(connection_.socket(), reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
        getnameinfo(reinterpret_cast<sockaddr*>(&address), size, host, sizeof host, nullptr, 0,
                    NI_NUMERICHOST) != 0) {
      return;
    }
    ip = host;
    port = ntohs(reinterpret_cast<sockaddr_in*>(&address)->sin_port);
  }

 private:
  Connection& connection_;
};

// A thread per connection, up to a limit; more connections wait.
class ConnectionThreads : public httplib::TaskQueue {
 public:
  explicit ConnectionThreads(size_t limit) : limit_(limit) {}

  void enqueue(std::function<void()> task) override {
    std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    if (idle_ > 0) {
      wake_.notify_one();
    } else if (threads_.size() < limit_) {
      threads_.emplace_back([this] { Run(); });
    }
  }

  void shutdown() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  void Run() {
    std::unique_lock lock(mutex_);
    while (true) {
      idle_++;
      wake_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
      idle_--;
      if (tasks_.empty()) return;
      auto task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
      lock.lock();
    }
  }

  const size_t limit_;
  std::mutex mutex_;  // guards all below; threads_ grows in the accepting thread alone
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  std::vector<std::thread> threads_;
  size_t idle_ = 0;
  bool stopping_ = false;
};

std::string PlainAnswer(int status, const char* reason, const std::string& body) {
  return absl::StrCat("HTTP/1.1 ", status, " ", reason,
                      "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ", body.size() + 1,
                      "\r\nConnection: close\r\n\r\n", body, "\n");
}

HttpRequest RequestFrom(const httplib::Request& in, const std::string& host) {
  HttpRequest out;
  out.method = in.method;
  out.target = in.target;
  out.host = host;
  out.source_address = in.remote_addr;
  for (const auto& [name, value] : in.headers) {
    out.headers.emplace_back(absl::AsciiStrToLower(name), value);
  }
  return out;
}

// Sends the first half of `body`, and no more.
void AnswerHalf(const HttpResponse& from, Connection& connection, httplib::Response& to) {
  to.set_content_provider(
      from.body.size(), from.content_type,
      [&connection, stall = from.delivery == Delivery::kStall,
       half = from.body.substr(0, from.body.size() / 2)](size_t, size_t, httplib::DataSink& sink) {
        sink.write(half.data(), half.size());
        if (stall) connection.Linger(kLongestHang);
        connection.Interrupt();
        return false;
      });
}

void Answer(const HttpResponse& from, Connection& connection, httplib::Response& to) {
  if (from.delay > absl::ZeroDuration()) connection.Linger(absl::ToChronoMilliseconds(from.delay));
  if (from.delivery == Delivery::kHang) connection.Linger(kLongestHang);
  if (from.delivery == Delivery::kHang || from.delivery == Delivery::kNone) return connection.Interrupt();
  to.status = from.status;
  for (const auto& [name, value] : from.headers) to.set_header(name, value);
  if (from.delivery != Delivery::kWhole) return AnswerHalf(from, connection, to);
  to.set_content(from.body, from.content_type);
}

}  // namespace

class Proxy::Server : public httplib::Server {
 public:
  Server(Route route, CertificateAuthority& authority, ProxyLimits limits)
      : route_(std::move(route)), authority_(authority), limits_(limits) {
    new_task_queue = [this] { return new ConnectionThreads(limits_.connections); };
    set_payload_max_length(kMaxBodySize);
    set_tcp_nodelay(true);
    // httplib's default is SO_REUSEPORT, which would let two local clouds share a port.
    set_socket_options([](socket_t socket) {
      const int on = 1;
      setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    });
    RouteAllMethods();
  }

  ~Server() override { Shutdown(); }

  Status Listen(const std::string& address) {
    size_t colon = address.rfind(':');
    int port = -1;
    if (colon == std::string::npos || colon == 0 || !absl::SimpleAtoi(address.substr(colon + 1), &port) ||
        port < 0 || port > 65535) {
      return Error(Cause::kInvalidArgument, "'" + address + "' is not ADDR:PORT");
    }
    std::string host = address.substr(0, colon);
    port_ = port == 0 ? bind_to_any_port(host) : (bind_to_port(host, port) ? port : -1);
    if (port_ < 0) {
      return Error(Cause::kUnavailable, "cannot listen on " + address +
                                            ": the port is taken, or the address is "
                                            "not this machine's; choose another");
    }
    acceptor_ = std::thread([this] { listen_after_bind(); });
    return OkStatus();
  }

  int port() const { return port_; }

  void Shutdown() {
    if (!acceptor_.joinable()) return;
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
      for (const Connection* connection : connections_) connection->Interrupt();
    }
    // stop() has no effect on a server that has not begun to accept.
    while (!is_running()) std::this_thread::yield();
    stop();
    acceptor_.join();
  }

 private:
  using ContentReader = httplib::ContentReader;

  // What one thread serves: set around process_request(), read by the handlers that it calls.
  struct Tunnel {
    std::string host;
    HttpHandler handler;
    Connection& connection;
  };

  void RouteAllMethods() {
    auto with_body = [](const httplib::Request& in, httplib::Response& out, const ContentReader& reader) {
      HttpRequest request = RequestFrom(in, tunnel_->host);
      // RFC 9112 section 6.3: a request that tells no length has no body. The library would read on.
      const bool has_body = in.has_header("Content-Length") || in.has_header("Transfer-Encoding");
      if (has_body && !reader([&request](const char* data, size_t size) {
            request.body.append(data, size);
            return request.body.size() <= kMaxBodySize;
          })) {
        if (out.status < 400) out.status = 400;
        return;
      }
      Answer(tunnel_->handler(request), tunnel_->connection, out);
    };
    auto without_body = [](const httplib::Request& in, httplib::Response& out) {
      Answer(tunnel_->handler(RequestFrom(in, tunnel_->host)), tunnel_->connection, out);
    };
    Get(".*", without_body);
    Options(".*", without_body);
    Post(".*", with_body);
    Put(".*", with_body);
    Patch(".*", with_body);
    Delete(".*", with_body);
  }

  bool process_and_close_socket(socket_t socket) override {
    Connection connection(socket);
    if (!Register(&connection)) return false;
    if (auto tunnel = OpenTunnel(connection)) Serve(connection, *tunnel);
    std::lock_guard lock(mutex_);
    connections_.erase(&connection);
    return true;
  }

  bool Register(const Connection* connection) {
    std::lock_guard lock(mutex_);
    if (stopping_) return false;
    connections_.insert(connection);
    return true;
  }

  // Answers the CONNECT request and the TLS handshake. None when the connection is to be closed.
  std::optional<Tunnel> OpenTunnel(Connection& connection) {
    connection.StartRequest(limits_.request, limits_.head);
    auto head = connection.ReadHead(limits_.head);
    if (!head.ok()) {
      if (CauseOf(head.status()) == Cause::kInvalidArgument) Refuse(connection, 431, head.status());
      return std::nullopt;
    }
    auto target = ParseConnect(*head);
    if (!target.ok()) {
      Refuse(connection, CauseOf(target.status()) == Cause::kUnimplemented ? 405 : 400, target.status());
      return std::nullopt;
    }
    Tunnel tunnel{target->host, target->port == 443 ? route_(target->host) : HttpHandler(), connection};
    if (!tunnel.handler) {
      Refuse(connection, 403,
             Error(Cause::kPermissionDenied,
                   absl::StrCat("the local cloud does not stand for ", target->host, ":", target->port,
                                " and connects to nothing else; take this name out of HTTPS_PROXY's reach "
                                "(NO_PROXY) if it is to be reached")));
      return std::nullopt;
    }
    return StartTls(connection, std::move(tunnel));
  }

  std::optional<Tunnel> StartTls(Connection& connection, Tunnel tunnel) {
    auto context = authority_.ContextFor(tunnel.host);
    static constexpr std::string_view kEstablished = "HTTP/1.1 200 Connection established\r\n\r\n";
    if (!context.ok() || connection.Write(kEstablished.data(), kEstablished.size()) < 0 ||
        !connection.StartTls(context->get()).ok()) {
      return std::nullopt;
    }
    return tunnel;
  }

  static void Refuse(Connection& connection, int status, const Status& why) {
    const char* reason = status == 403   ? "Forbidden"
                         : status == 405 ? "Method Not Allowed"
                         : status == 431 ? "Request Header Fields Too Large"
                                         : "Bad Request";
    std::string answer = PlainAnswer(status, reason, std::string(why.message()));
    connection.Write(answer.data(), answer.size());
  }

  void Serve(Connection& connection, Tunnel& tunnel) {
    ConnectionStream stream(connection);
    tunnel_ = &tunnel;
    bool close = false;
    while (!close && connection.WaitForRequest(limits_.idle)) {
      connection.StartRequest(limits_.request, limits_.head);
      bool parsed = false;
      bool served = process_request(stream, false, close, [&](httplib::Request&) {
        // The head is read: now the body, with room for the framing of chunks.
        connection.ExtendLimit(2 * kMaxBodySize);
        parsed = true;
      });
      if (!served || !parsed) break;
    }
    tunnel_ = nullptr;
  }

  static thread_local const Tunnel* tunnel_;

  const Route route_;
  CertificateAuthority& authority_;
  const ProxyLimits limits_;
  int port_ = -1;
  std::thread acceptor_;
  std::mutex mutex_;  // guards the two below
  bool stopping_ = false;
  std::set<const Connection*> connections_;
};

thread_local const Proxy::Server::Tunnel* Proxy::Server::tunnel_ = nullptr;

StatusOr<std::unique_ptr<Proxy>> Proxy::Start(const std::string& address, Route route,
                                              CertificateAuthority& authority, ProxyLimits limits) {
  auto server = std::make_unique<Server>(std::move(route), authority, limits);
  KEYHOLD_RETURN_IF_ERROR(server->Listen(address));
  return std::unique_ptr<Proxy>(new Proxy(std::move(server)));
}

Proxy::Proxy(std::unique_ptr<Server> server) : server_(std::move(server)) {}
Proxy::~Proxy() = default;

uint16_t Proxy::port() const { return static_cast<uint16_t>(server_->port()); }
void Proxy::Stop() { server_->Shutdown(); }

}  // namespace keyhold::localcloud
