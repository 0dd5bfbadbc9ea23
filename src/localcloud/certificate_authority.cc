#include "localcloud/certificate_authority.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "absl/strings/str_cat.h"
#include "crypto/openssl_ptr.h"

namespace keyhold::localcloud {
namespace {

using PrivateKey = crypto::KeyPtr;
using Certificate = crypto::X509Ptr;
using Bio = crypto::BioPtr;

constexpr absl::Duration kCaLifetime = absl::Hours(24 * 3650);
constexpr absl::Duration kLeafLifetime = absl::Hours(24 * 30);
constexpr absl::Duration kRenewBefore = absl::Hours(24);
// Clocks of clients may be a little behind.
constexpr absl::Duration kBackdate = absl::Hours(1);

Status SslError(std::string_view what) {
  char text[256];
  ERR_error_string_n(ERR_get_error(), text, sizeof text);
  return Error(Cause::kInternal, absl::StrCat(std::string(what), ": ", text));
}

StatusOr<PrivateKey> NewPrivateKey() {
  PrivateKey key(EVP_EC_gen("P-256"));
  if (!key) return SslError("cannot make a P-256 key");
  return key;
}

bool AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  if (extension == nullptr) return false;
  bool added = X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return added;
}

bool SetSerial(X509* certificate, crypto::Random& random) {
  uint8_t bytes[16];
  random.Fill(bytes);
  bytes[0] = (bytes[0] & 0x7f) | 0x40;  // positive, and of full length (RFC 5280 section 4.1.2.2)
  BIGNUM* number = BN_bin2bn(bytes, sizeof bytes, nullptr);
  bool set = number != nullptr && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nullptr;
  BN_free(number);
  return set;
}

bool SetName(X509_NAME* name, const std::string& common_name) {
  auto add = [name](const char* field, const std::string& value) {
    return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                      reinterpret_cast<const unsigned char*>(value.c_str()), -1, -1, 0) == 1;
  };
  return add("O", "Keyhold local cloud") && add("CN", common_name);
}

// A certificate for `key` with all but extensions and signature.
StatusOr<Certificate> Draft(EVP_PKEY* key, const std::string& name, absl::Time now, absl::Duration lifetime,
                            crypto::Random& random) {
  Certificate certificate(X509_new());
  if (!certificate || X509_set_version(certificate.get(), X509_VERSION_3) != 1 ||
      !SetSerial(certificate.get(), random) || X509_set_pubkey(certificate.get(), key) != 1 ||
      !SetName(X509_get_subject_name(certificate.get()), name) ||
      ASN1_TIME_set(X509_getm_notBefore(certificate.get()), absl::ToTimeT(now - kBackdate)) == nullptr ||
      ASN1_TIME_set(X509_getm_notAfter(certificate.get()), absl::ToTimeT(now + lifetime)) == nullptr) {
    return SslError("cannot make a certificate");
  }
  return certificate;
}

StatusOr<Certificate> MakeCaCertificate(EVP_PKEY* key, absl::Time now, crypto::Random& random) {
  KEYHOLD_ASSIGN_OR_RETURN(Certificate ca, Draft(key, "Keyhold local cloud CA", now, kCaLifetime, random));
  X509* c = ca.get();
  if (X509_set_issuer_name(c, X509_get_subject_name(c)) != 1 ||
      !AddExtension(c, c, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
      !AddExtension(c, c, NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !AddExtension(c, c, NID_subject_key_identifier, "hash") || X509_sign(c, key, EVP_sha256()) == 0) {
    return SslError("cannot make the CA certificate");
  }
  return ca;
}

StatusOr<Certificate> MakeLeafCertificate(EVP_PKEY* key, const std::string& host, X509* ca, EVP_PKEY* ca_key,
                                          absl::Time now, crypto::Random& random) {
  KEYHOLD_ASSIGN_OR_RETURN(Certificate leaf, Draft(key, host, now, kLeafLifetime, random));
  X509* c = leaf.get();
  if (X509_set_issuer_name(c, X509_get_subject_name(ca)) != 1 ||
      !AddExtension(c, ca, NID_basic_constraints, "critical,CA:FALSE") ||
      !AddExtension(c, ca, NID_key_usage, "critical,digitalSignature") ||
      !AddExtension(c, ca, NID_ext_key_usage, "serverAuth") ||
      !AddExtension(c, ca, NID_subject_key_identifier, "hash") ||
      !AddExtension(c, ca, NID_authority_key_identifier, "keyid:always") ||
      !AddExtension(c, ca, NID_subject_alt_name, "DNS:" + host) || X509_sign(c, ca_key, EVP_sha256()) == 0) {
    return SslError("cannot make the certificate of " + host);
  }
  return leaf;
}

std::string TextOf(BIO* bio) {
  char* data = nullptr;
  long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<size_t>(size));
}

Bio Reader(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

int SelectHttp11(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                 unsigned int in_size, void*) {
  static constexpr unsigned char kHttp11[] = "\x08http/1.1";
  int result = SSL_select_next_proto(const_cast<unsigned char**>(out), out_size, kHttp11, sizeof kHttp11 - 1,
                                     in, in_size);
  return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

}  // namespace

class CertificateAuthority::Identity {
 public:
  Identity(PrivateKey key, Certificate certificate)
      : key(std::move(key)), certificate(std::move(certificate)) {}
  PrivateKey key;
  Certificate certificate;
};

struct CertificateAuthority::Leaf {
  std::shared_ptr<SSL_CTX> context;
  absl::Time renew;
};

namespace {

Status MakeAuthority(const Directory& directory, absl::Time now, crypto::Random& random) {
  KEYHOLD_ASSIGN_OR_RETURN(PrivateKey key, NewPrivateKey());
  KEYHOLD_ASSIGN_OR_RETURN(Certificate certificate, MakeCaCertificate(key.get(), now, random));
  Bio key_text(BIO_new(BIO_s_secmem()));
  Bio certificate_text(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PKCS8PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1 ||
      PEM_write_bio_X509(certificate_text.get(), certificate.get()) != 1) {
    return SslError("cannot write the CA");
  }
  // The certificate comes second: a crash between the two makes a new pair.
  KEYHOLD_RETURN_IF_ERROR(directory.Write("ca.key", TextOf(key_text.get()), 0600));
  return directory.Write("ca.pem", TextOf(certificate_text.get()), 0644);
}

}  // namespace

StatusOr<std::unique_ptr<CertificateAuthority>> CertificateAuthority::Open(const Directory& directory,
                                                                           Clock& clock,
                                                                           crypto::Random& random) {
  auto stored = directory.Read("ca.pem");
  if (!stored.ok() && CauseOf(stored.status()) == Cause::kNotFound) {
    KEYHOLD_RETURN_IF_ERROR(MakeAuthority(directory, clock.Now(), random));
    stored = directory.Read("ca.pem");
  }
  KEYHOLD_RETURN_IF_ERROR(stored.status());
  KEYHOLD_ASSIGN_OR_RETURN(std::string key_text, directory.Read("ca.key"));
  PrivateKey key(PEM_read_bio_PrivateKey(Reader(key_text).get(), nullptr, nullptr, nullptr));
  crypto::Wipe({reinterpret_cast<uint8_t*>(key_text.data()), key_text.size()});
  Certificate certificate(PEM_read_bio_X509(Reader(*stored).get(), nullptr, nullptr, nullptr));
  if (!key || !certificate || X509_check_private_key(certificate.get(), key.get()) != 1) {
    ERR_clear_error();
    return Error(Cause::kCorrupt, directory.File("ca.pem") +
                                      " and ca.key are damaged or do not fit each other; "
                                      "put both back, or remove both for a new CA");
  }
  auto identity = std::make_unique<Identity>(std::move(key), std::move(certificate));
  return std::unique_ptr<CertificateAuthority>(new CertificateAuthority(std::move(identity), clock, random));
}

CertificateAuthority::CertificateAuthority(std::unique_ptr<Identity> identity, Clock& clock,
                                           crypto::Random& random)
    : identity_(std::move(identity)), clock_(clock), random_(random) {}

CertificateAuthority::~CertificateAuthority() = default;

StatusOr<std::shared_ptr<SSL_CTX>> CertificateAuthority::ContextFor(const std::string& host) {
  std::lock_guard lock(mutex_);
  absl::Time now = clock_.Now();
  auto found = leaves_.find(host);
  if (found != leaves_.end() && now < found->second.renew) return found->second.context;

  KEYHOLD_ASSIGN_OR_RETURN(PrivateKey key, NewPrivateKey());
  KEYHOLD_ASSIGN_OR_RETURN(
      Certificate leaf,
      MakeLeafCertificate(key.get(), host, identity_->certificate.get(), identity_->key.get(), now, random_));
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (!context || SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1 ||
      SSL_CTX_use_certificate(context.get(), leaf.get()) != 1 ||
      SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1) {
    return SslError("cannot serve TLS for " + host);
  }
  SSL_CTX_set_alpn_select_cb(context.get(), SelectHttp11, nullptr);
  leaves_[host] = Leaf{context, now + kLeafLifetime - kRenewBefore};
  return context;
}

}  // namespace keyhold::localcloud
