// What the TLS servers of Keyhold have in common: TLS 1.2 and 1.3 with forward secrecy and authenticated
// encryption, no renegotiation, no compression, and the PEM files of a certificate chain and its key.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "base/status.h"
#include "crypto/openssl_ptr.h"

namespace keyhold::crypto {

using SslContext = std::unique_ptr<SSL_CTX, FreeBy<SSL_CTX_free>>;

// kInvalidArgument names the file that is not PEM, or the key that is not the certificate's; kIo (or the
// cause of the errno) the one that cannot be read.
StatusOr<SslContext> MakeServerContext(const std::string& certificate_path, const std::string& key_path);

}  // namespace keyhold::crypto
