#include "gateway/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"

namespace keyhold::gateway {
namespace {

Status TlsError(Cause cause, std::string_view what) {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return Error(cause, absl::StrCat(std::string(what), ": ", reason == nullptr ? "no reason given" : reason));
}

Status CheckReadable(const std::string& path) {
  if (access(path.c_str(), R_OK) == 0) return OkStatus();
  return ErrnoError(errno, absl::StrCat("cannot read ", path));
}

Status LoadPair(SSL_CTX* context, const std::string& certificate, const std::string& key) {
  KEYHOLD_RETURN_IF_ERROR(CheckReadable(certificate));
  KEYHOLD_RETURN_IF_ERROR(CheckReadable(key));
  if (SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) != 1) {
    return TlsError(Cause::kInvalidArgument, absl::StrCat(certificate, " is not a PEM certificate chain"));
  }
  if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1) {
    return TlsError(Cause::kInvalidArgument, absl::StrCat(key, " is not the PEM key of ", certificate));
  }
  return OkStatus();
}

IoResult FromErrno() { return errno == EAGAIN || errno == EINTR ? IoResult::kWantRead : IoResult::kFailed; }

}  // namespace

void SslContextFree::operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
void SslFree::operator()(SSL* ssl) const { SSL_free(ssl); }

StatusOr<SslContext> MakeServerContext(const std::string& certificate_path, const std::string& key_path) {
  ERR_clear_error();
  SslContext context(SSL_CTX_new(TLS_server_method()));
  if (context == nullptr) return TlsError(Cause::kInternal, "no TLS context");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
                                         SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_num_tickets(context.get(), 0);
  SSL_CTX_set_read_ahead(context.get(), 1);  // one read(2) per record instead of two
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  KEYHOLD_RETURN_IF_ERROR(LoadPair(context.get(), certificate_path, key_path));
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
  const ssize_t count = recv(fd_, out, size, 0);
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
  const ssize_t count = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (count < 0) return FromErrno() == IoResult::kWantRead ? IoResult::kWantWrite : IoResult::kFailed;
  *put = static_cast<size_t>(count);
  return IoResult::kDone;
}

Status ClientChannel::StartTls(SSL_CTX* context) {
  ssl_.reset(SSL_new(context));
  if (ssl_ == nullptr || SSL_set_fd(ssl_.get(), fd_) != 1)
    return TlsError(Cause::kInternal, "no TLS session");
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

bool ClientChannel::HasPending() const { return ssl_ != nullptr && SSL_has_pending(ssl_.get()) != 0; }

}  // namespace keyhold::gateway
