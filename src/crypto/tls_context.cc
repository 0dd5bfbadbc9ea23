#include "crypto/tls_context.h"

#include <openssl/err.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"

namespace keyhold::crypto {
namespace {

constexpr char kCiphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

Status CheckReadable(const std::string& path) {
  if (access(path.c_str(), R_OK) == 0) return OkStatus();
  return ErrnoError(errno, absl::StrCat("cannot read ", path));
}

Status NotPem(const std::string& path, std::string_view what) {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return Error(Cause::kInvalidArgument, absl::StrCat(path, " is not the PEM ", std::string(what), ": ",
                                                     reason == nullptr ? "no reason given" : reason));
}

}  // namespace

StatusOr<SslContext> MakeServerContext(const std::string& certificate_path, const std::string& key_path) {
  KEYHOLD_RETURN_IF_ERROR(CheckReadable(certificate_path));
  KEYHOLD_RETURN_IF_ERROR(CheckReadable(key_path));
  ERR_clear_error();
  SslContext context(SSL_CTX_new(TLS_server_method()));
  if (context == nullptr) return Error(Cause::kInternal, "OpenSSL makes no TLS context");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // Of TLS 1.2; those of 1.3 are all so.
  if (SSL_CTX_set_cipher_list(context.get(), kCiphers) != 1)
    return Error(Cause::kInternal, "OpenSSL does not know the ciphers of TLS 1.2");
  if (SSL_CTX_use_certificate_chain_file(context.get(), certificate_path.c_str()) != 1) {
    return NotPem(certificate_path, "of a certificate chain");
  }
  // Also checks that it is the certificate's.
  if (SSL_CTX_use_PrivateKey_file(context.get(), key_path.c_str(), SSL_FILETYPE_PEM) != 1) {
    return NotPem(key_path, absl::StrCat("key of ", certificate_path));
  }
  return context;
}

}  // namespace keyhold::crypto
