// The private CA of the local cloud, and the TLS server contexts for the names it stands for.
//
// ECDSA P-256 keys and SHA-256 signatures; X.509 version 3 (RFC 5280) with the extensions that OpenSSL,
// Python, curl and Node ask for. Safe to use from any thread.
#pragma once

#include <openssl/types.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "localcloud/directory.h"

namespace keyhold::localcloud {

class CertificateAuthority {
 public:
  // Loads ca.key and ca.pem of `directory`, or makes them (valid for ten years). kCorrupt where they do not
  // fit each other. `clock` and `random` must outlive the object.
  static StatusOr<std::unique_ptr<CertificateAuthority>> Open(const Directory& directory, Clock& clock,
                                                              crypto::Random& random);
  ~CertificateAuthority();

  // A server context (TLS 1.2 or later, ALPN http/1.1) whose certificate is for `host`; made at the first
  // call for it, kept in memory, made again a day before its thirty days end. Each caller owns one reference.
  StatusOr<std::shared_ptr<SSL_CTX>> ContextFor(const std::string& host);

 private:
  class Identity;
  struct Leaf;
  CertificateAuthority(std::unique_ptr<Identity> identity, Clock& clock, crypto::Random& random);

  std::unique_ptr<Identity> identity_;
  Clock& clock_;
  crypto::Random& random_;
  std::mutex mutex_;  // guards leaves_
  std::map<std::string, Leaf> leaves_;
};

}  // namespace keyhold::localcloud
