#include "localcloud/connection.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace keyhold::localcloud {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

Connection::Connection(int socket) : socket_(socket), tls_(nullptr, SSL_free) {
  fcntl(socket_, F_SETFL, fcntl(socket_, F_GETFL) | O_NONBLOCK);
}

Connection::~Connection() {
  if (tls_) SSL_shutdown(tls_.get());
  ERR_clear_error();
  shutdown(socket_, SHUT_RDWR);
  close(socket_);
}

void Connection::Interrupt() const { shutdown(socket_, SHUT_RDWR); }

bool Connection::Wait(short events) const {
  while (true) {
    auto left = std::chrono::duration_cast<milliseconds>(deadline_ - steady_clock::now()).count();
    if (left <= 0) return false;
    pollfd entry{socket_, events, 0};
    int ready = poll(&entry, 1, static_cast<int>(std::min<int64_t>(left, 60000)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

bool Connection::WaitForRequest(milliseconds idle) {
  if (consumed_ < buffer_.size() || (tls_ && SSL_pending(tls_.get()) > 0)) return true;
  deadline_ = steady_clock::now() + idle;
  return Wait(POLLIN);
}

void Connection::Linger(milliseconds at_most) {
  const auto start = steady_clock::now();
  const auto end = start + at_most;
  int gone = 0;
  while (gone == 0 && steady_clock::now() < end) {
    const auto left = std::chrono::ceil<milliseconds>(end - steady_clock::now()).count();
    pollfd entry{socket_, POLLRDHUP, 0};
    gone = poll(&entry, 1, static_cast<int>(std::min<int64_t>(left, 60000)));
    if (gone < 0 && errno == EINTR) gone = 0;
  }
  deadline_ += steady_clock::now() - start;
}

void Connection::StartRequest(milliseconds deadline, size_t limit) {
  deadline_ = steady_clock::now() + deadline;
  allowance_ = limit;
}

// What `result` of an OpenSSL call means: itself, or -1 and perhaps `again` after the wait it asked for.
ssize_t Connection::Retry(int result, bool* again) const {
  *again = false;
  if (result > 0) return result;
  int error = SSL_get_error(tls_.get(), result);
  ERR_clear_error();
  if (error == SSL_ERROR_ZERO_RETURN) return 0;
  if (error == SSL_ERROR_WANT_READ) *again = Wait(POLLIN);
  if (error == SSL_ERROR_WANT_WRITE) *again = Wait(POLLOUT);
  return -1;
}

ssize_t Connection::ReadSome(char* buffer, size_t size) {
  if (steady_clock::now() >= deadline_) return -1;
  bool again = true;
  ssize_t n = -1;
  while (tls_ && again) n = Retry(SSL_read(tls_.get(), buffer, static_cast<int>(size)), &again);
  if (tls_) return n;
  while (true) {
    n = recv(socket_, buffer, size, 0);
    if (n >= 0) return n;
    if (errno != EINTR && (errno != EAGAIN || !Wait(POLLIN))) return -1;
  }
}

ssize_t Connection::Read(char* buffer, size_t size) {
  if (allowance_ == 0) return -1;
  if (consumed_ == buffer_.size()) {
    buffer_.resize(16 << 10);
    consumed_ = 0;
    ssize_t n = ReadSome(buffer_.data(), buffer_.size());
    buffer_.resize(n > 0 ? static_cast<size_t>(n) : 0);
    if (n <= 0) return n;
  }
  size_t n = std::min({size, buffer_.size() - consumed_, allowance_});
  memcpy(buffer, buffer_.data() + consumed_, n);
  consumed_ += n;
  allowance_ -= n;
  return static_cast<ssize_t>(n);
}

ssize_t Connection::Write(const char* data, size_t size) {
  size_t done = 0;
  while (done < size) {
    ssize_t n = -1;
    if (tls_) {
      bool again = true;
      while (again) n = Retry(SSL_write(tls_.get(), data + done, static_cast<int>(size - done)), &again);
    } else {
      n = send(socket_, data + done, size - done, MSG_NOSIGNAL);
      if (n < 0 && (errno == EINTR || (errno == EAGAIN && Wait(POLLOUT)))) continue;
    }
    if (n <= 0) return -1;
    done += static_cast<size_t>(n);
  }
  return static_cast<ssize_t>(size);
}

StatusOr<std::string> Connection::ReadHead(size_t limit) {
  std::string head;
  char c = 0;
  while (head.size() < limit) {
    if (Read(&c, 1) != 1) return Error(Cause::kUnavailable, "the client went away, or was too slow");
    head.push_back(c);
    if (head.ends_with("\r\n\r\n") || head.ends_with("\n\n")) return head;
  }
  return Error(Cause::kInvalidArgument,
               absl::StrCat("the head of the request has more than ", limit, " bytes"));
}

Status Connection::StartTls(SSL_CTX* context) {
  // A client that already sent its hello with the CONNECT head would be lost here: none may, before the
  // answer.
  if (consumed_ < buffer_.size()) {
    return Error(Cause::kUnavailable, "the client sent TLS before CONNECT was answered");
  }
  tls_.reset(SSL_new(context));
  if (!tls_ || SSL_set_fd(tls_.get(), socket_) != 1) return Error(Cause::kInternal, "cannot start TLS");
  bool again = true;
  while (again) {
    int result = SSL_accept(tls_.get());
    if (result == 1) return OkStatus();
    unsigned long reason = ERR_peek_error();
    Retry(result, &again);
    if (!again) {
      char text[256] = "the client went away";
      if (reason != 0) ERR_error_string_n(reason, text, sizeof text);
      return Error(Cause::kUnavailable, absl::StrCat("TLS handshake: ", text));
    }
  }
  return Error(Cause::kUnavailable, "TLS handshake: the client was too slow");
}

}  // namespace keyhold::localcloud
