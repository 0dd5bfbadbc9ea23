#include "gateway/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"

namespace keyhold::gateway {
namespace {

IoResult FromErrno() { return errno == EAGAIN ? IoResult::kWantRead : IoResult::kFailed; }

ssize_t Send(int fd, const char* data, size_t size) {
  ssize_t count = 0;
  do {
    count = send(fd, data, size, MSG_NOSIGNAL);
  } while (count < 0 && errno == EINTR);
  return count;
}

}  // namespace

// What OpenSSL's own socket BIO does, and one thing more: it remembers whether a read emptied the socket.
struct ClientChannel::SocketBio {
  static int Read(BIO* bio, char* out, size_t size, size_t* got) {
    BIO_clear_retry_flags(bio);
    const ssize_t count = static_cast<ClientChannel*>(BIO_get_data(bio))->Receive(out, size);
    if (count > 0) *got = static_cast<size_t>(count);
    if (count < 0 && errno == EAGAIN) BIO_set_retry_read(bio);
    return count > 0 ? 1 : 0;
  }

  static int Write(BIO* bio, const char* data, size_t size, size_t* put) {
    BIO_clear_retry_flags(bio);
    const ssize_t count = Send(static_cast<ClientChannel*>(BIO_get_data(bio))->fd_, data, size);
    if (count > 0) *put = static_cast<size_t>(count);
    if (count < 0 && errno == EAGAIN) BIO_set_retry_write(bio);
    return count > 0 ? 1 : 0;
  }

  static long Control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

  static BIO_METHOD* MakeMethod() {
    BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "client");
    BIO_meth_set_read_ex(method, Read);
    BIO_meth_set_write_ex(method, Write);
    BIO_meth_set_ctrl(method, Control);
    return method;
  }

  static BIO* Make(ClientChannel* channel) {
    static const BIO_METHOD* const kMethod = MakeMethod();
    BIO* bio = BIO_new(kMethod);
    if (bio == nullptr) return nullptr;
    BIO_set_data(bio, channel);
    BIO_set_init(bio, 1);
    return bio;
  }
};

// Less than there was room for, or nothing: the socket was empty then.
ssize_t ClientChannel::Receive(char* out, size_t size) {
  ssize_t count = 0;
  do {
    count = recv(fd_, out, size, 0);
  } while (count < 0 && errno == EINTR);
  socket_empty_ = count < 0 || static_cast<size_t>(count) < size;
  return count;
}

StatusOr<SslContext> MakeServerContext(const std::string& certificate_path, const std::string& key_path) {
  KEYHOLD_ASSIGN_OR_RETURN(SslContext context, crypto::MakeServerContext(certificate_path, key_path));
  SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_num_tickets(context.get(), 0);
  SSL_CTX_set_read_ahead(context.get(), 1);  // one read(2) per record instead of two
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  return context;
}

IoResult ClientChannel::Result(int code) const {
  switch (SSL_get_error(ssl_.get(), code)) {
    case SSL_ERROR_WANT_READ:
      return IoResult::kWantRead;
    case SSL_ERROR_WANT_WRITE:
      return IoResult::kWantWrite;
    case SSL_ERROR_ZERO_RETURN:
      return IoResult::kClosed;
    default:
      return IoResult::kFailed;
  }
}

IoResult ClientChannel::Read(char* out, size_t size, size_t* got) {
  if (ssl_ != nullptr) {
    ERR_clear_error();
    const int code = SSL_read_ex(ssl_.get(), out, size, got);
    return code == 1 ? IoResult::kDone : Result(code);
  }
  const ssize_t count = Receive(out, size);
  if (count < 0) return FromErrno();
  *got = static_cast<size_t>(count);
  return count == 0 ? IoResult::kClosed : IoResult::kDone;
}

IoResult ClientChannel::Write(std::string_view bytes, size_t* put) {
  if (ssl_ != nullptr) {
    ERR_clear_error();
    const int code = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), put);
    return code == 1 ? IoResult::kDone : Result(code);
  }
  const ssize_t count = Send(fd_, bytes.data(), bytes.size());
  if (count < 0) return FromErrno() == IoResult::kWantRead ? IoResult::kWantWrite : IoResult::kFailed;
  *put = static_cast<size_t>(count);
  return IoResult::kDone;
}

Status ClientChannel::StartTls(SSL_CTX* context) {
  ssl_.reset(SSL_new(context));
  BIO* bio = ssl_ == nullptr ? nullptr : SocketBio::Make(this);
  if (bio == nullptr) return Error(Cause::kInternal, "OpenSSL makes no TLS session");
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_accept_state(ssl_.get());
  return OkStatus();
}

IoResult ClientChannel::Handshake() {
  ERR_clear_error();
  const int code = SSL_accept(ssl_.get());
  return code == 1 ? IoResult::kDone : Result(code);
}

void ClientChannel::SayClose() {
  if (ssl_ == nullptr || SSL_is_init_finished(ssl_.get()) == 0) return;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
}

bool ClientChannel::Drained() const {
  return socket_empty_ && (ssl_ == nullptr || SSL_has_pending(ssl_.get()) == 0);
}

}  // namespace keyhold::gateway
