#include "api/connection.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace keyhold::api {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::string_view kStatusLine = "HTTP/1.1 ";
constexpr std::chrono::seconds kDrainTime{5};
constexpr size_t kDrainBytes = 16 << 20;

void NameOf(const sockaddr_storage& address, std::string& ip, int& port) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    port = ntohs(v4.sin_port);
  } else if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    port = ntohs(v6.sin6_port);
  }
  ip = text;
}

bool IsDigits(const std::string& text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_isdigit(c); });
}

bool TakesBody(const std::string& method) {
  return method == "POST" || method == "PUT" || method == "PATCH" || method == "DELETE";
}

}  // namespace

Connection::Connection(socket_t socket, const ConnectionLimits& limits, Crowd& crowd)
    : socket_(socket),
      limits_(limits),
      crowd_(crowd),
      started_(steady_clock::now()),
      deadline_(started_ + limits.request) {
  fcntl(socket_, F_SETFL, fcntl(socket_, F_GETFL) | O_NONBLOCK);
}

bool Connection::Handshake(SSL_CTX* context) {
  ssl_.reset(SSL_new(context));
  if (ssl_ == nullptr || SSL_set_fd(ssl_.get(), socket_) != 1) return false;
  while (true) {
    const int result = SSL_accept(ssl_.get());
    if (result == 1) return true;
    const int error = SSL_get_error(ssl_.get(), result);
    if (error == SSL_ERROR_WANT_READ && Await(POLLIN, deadline_)) continue;
    if (error == SSL_ERROR_WANT_WRITE && Await(POLLOUT, deadline_)) continue;
    return false;
  }
}

bool Connection::AwaitRequest(milliseconds timeout) {
  started_ = steady_clock::now();
  return (ssl_ != nullptr && SSL_pending(ssl_.get()) > 0) || Await(POLLIN, steady_clock::now() + timeout);
}

void Connection::StartHeaders() {
  started_ = steady_clock::now();
  deadline_ = started_ + limits_.request;
  header_lines_.emplace();
  budget_ = limits_.header_bytes;
  answered_ = 0;
}

void Connection::StartBody() {
  header_lines_.reset();
  budget_ = limits_.body_bytes;
}

void Connection::Drain() {
  const Instant deadline = steady_clock::now() + kDrainTime;
  std::array<char, 16 << 10> buffer;
  shutdown(socket_, SHUT_WR);
  for (size_t drained = 0; drained < kDrainBytes && Await(POLLIN, deadline);) {
    const ssize_t n = recv(socket_, buffer.data(), buffer.size(), 0);
    if (n <= 0) return;
    drained += static_cast<size_t>(n);
  }
}

bool Connection::Await(short events, Instant deadline) const {
  const Crowd::Waiting waiting(crowd_, socket_, started_);
  while (true) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now()).count();
    if (left <= 0) return false;
    pollfd fd{socket_, events, 0};
    const int ready = poll(&fd, 1, static_cast<int>(left));
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

bool Connection::is_readable() const { return Await(POLLIN, deadline_); }
bool Connection::is_writable() const { return Await(POLLOUT, steady_clock::now() + limits_.answer); }

ssize_t Connection::ReadSome(char* data, size_t size) {
  while (true) {
    if (ssl_ != nullptr) {
      const int n = SSL_read(ssl_.get(), data, static_cast<int>(size));
      if (n > 0) return n;
      const int error = SSL_get_error(ssl_.get(), n);
      if (error == SSL_ERROR_ZERO_RETURN) return 0;
      if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) return -1;
    } else {
      const ssize_t n = recv(socket_, data, size, 0);
      if (n >= 0) return n;
      if (errno != EAGAIN && errno != EINTR) return -1;
    }
    if (!Await(POLLIN, deadline_)) return -1;
  }
}

ssize_t Connection::read(char* data, size_t size) {
  if (budget_ == 0 || steady_clock::now() >= deadline_) return -1;
  const ssize_t n = ReadSome(data, std::min(size, budget_));
  if (n <= 0) return n;
  budget_ -= static_cast<size_t>(n);
  if (!header_lines_ || header_lines_->Take({data, static_cast<size_t>(n)})) return n;
  budget_ = 0;
  return -1;
}

ssize_t Connection::WriteSome(const char* data, size_t size) {
  const Instant deadline = steady_clock::now() + limits_.answer;
  while (true) {
    if (ssl_ != nullptr) {
      const int n = SSL_write(ssl_.get(), data, static_cast<int>(size));
      if (n > 0) return n;
      const int error = SSL_get_error(ssl_.get(), n);
      if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) return -1;
    } else {
      const ssize_t n = send(socket_, data, size, MSG_NOSIGNAL);
      if (n >= 0) return n;
      if (errno != EAGAIN && errno != EINTR) return -1;
    }
    if (!Await(POLLOUT, deadline)) return -1;
  }
}

ssize_t Connection::write(const char* data, size_t size) {
  const std::string_view text(data, size);
  if (answered_ == 0 && text.starts_with(kStatusLine)) {
    answered_ = std::atoi(std::string(text.substr(kStatusLine.size(), 3)).c_str());
  }
  for (size_t sent = 0; sent < size;) {
    const ssize_t n = WriteSome(data + sent, size - sent);
    if (n <= 0) return -1;
    sent += static_cast<size_t>(n);
  }
  return static_cast<ssize_t>(size);
}

void Connection::get_remote_ip_and_port(std::string& ip, int& port) const {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getpeername(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0) NameOf(address, ip, port);
}

void Connection::get_local_ip_and_port(std::string& ip, int& port) const {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0) NameOf(address, ip, port);
}

std::string AmbiguityOf(const httplib::Request& request) {
  for (const char* once : {"Host", "Authorization"}) {
    if (request.get_header_value_count(once) > 1) return std::string(once) + " is there twice";
  }
  const size_t lengths = request.get_header_value_count("Content-Length");
  const size_t encodings = request.get_header_value_count("Transfer-Encoding");
  if (lengths > 1 || encodings > 1) return "Content-Length or Transfer-Encoding is there twice";
  if (lengths == 1 && encodings == 1) return "both Content-Length and Transfer-Encoding are there";
  if (lengths == 1 && !IsDigits(request.get_header_value("Content-Length"))) {
    return "Content-Length is not a number";
  }
  if (encodings == 1 && !absl::EqualsIgnoreCase(request.get_header_value("Transfer-Encoding"), "chunked")) {
    return "Transfer-Encoding is not chunked";
  }
  const bool has_body = encodings == 1 || (lengths == 1 && request.get_header_value("Content-Length") != "0");
  if (has_body && !TakesBody(request.method)) return request.method + " takes no body";
  return "";
}

}  // namespace keyhold::api
