// Owners of OpenSSL's objects, for those that make and read keys and certificates.
//
// Used by crypto, and by rooms that have certificates of their own (kms, node, localcloud).
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>

namespace keyhold::crypto {

// A deleter that calls `Free`, one of OpenSSL's X_free functions.
template <auto Free>
struct FreeBy {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};

using BioPtr = std::unique_ptr<BIO, FreeBy<BIO_free_all>>;
using DigestContextPtr = std::unique_ptr<EVP_MD_CTX, FreeBy<EVP_MD_CTX_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, FreeBy<EVP_PKEY_free>>;
using KeyContextPtr = std::unique_ptr<EVP_PKEY_CTX, FreeBy<EVP_PKEY_CTX_free>>;
using X509Ptr = std::unique_ptr<X509, FreeBy<X509_free>>;

}  // namespace keyhold::crypto
