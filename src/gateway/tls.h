// TLS towards clients, on sockets that never block: OpenSSL on the descriptor itself, so that an idle session
// holds no buffers.
//
// TLS 1.2 and 1.3, no renegotiation, no session tickets: a short connection must not leave state behind.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "crypto/tls_context.h"

namespace keyhold::gateway {

using crypto::SslContext;

// As crypto::MakeServerContext(), tuned for many short connections and idle ones.
StatusOr<SslContext> MakeServerContext(const std::string& certificate_path, const std::string& key_path);

enum class IoResult { kDone, kWantRead, kWantWrite, kClosed, kFailed };

// One client's bytes: plain until StartTls(), then inside TLS. Used by one thread.
class ClientChannel {
 public:
  // `fd` is non-blocking and stays the caller's.
  explicit ClientChannel(int fd) : fd_(fd) {}
  ClientChannel(const ClientChannel&) = delete;
  ClientChannel& operator=(const ClientChannel&) = delete;

  // Reads at most `size` > 0 bytes. kDone: `*got` of them.
  IoResult Read(char* out, size_t size, size_t* got);
  // Writes from the front of `bytes`. kDone: `*put` of them. After kWant... the same bytes must come first
  // again.
  IoResult Write(std::string_view bytes, size_t* put);

  // From here on bytes are TLS. Call Handshake() until kDone.
  Status StartTls(SSL_CTX* context);
  IoResult Handshake();
  // Sends close_notify if it can be sent at once.
  void SayClose();

  bool tls() const { return ssl_ != nullptr; }
  // True when the last read found the socket empty, and nothing waits here: what comes now announces itself.
  bool Drained() const;

 private:
  struct SocketBio;  // OpenSSL's way to the socket

  IoResult Result(int code) const;
  ssize_t Receive(char* out, size_t size);

  int fd_;
  bool socket_empty_ = false;
  std::unique_ptr<SSL, crypto::FreeBy<SSL_free>> ssl_;
};

}  // namespace keyhold::gateway
