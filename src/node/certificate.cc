#include "node/certificate.h"

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <memory>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "crypto/openssl_ptr.h"

namespace keyhold::node {
namespace {

constexpr int64_t kAuthorityDays = 3650;
constexpr int64_t kLeafDays = 365;
constexpr int64_t kRenewDays = 30;
constexpr int64_t kDay = 86'400;

using PrivateKey = crypto::KeyPtr;
using crypto::X509Ptr;
using Bio = crypto::BioPtr;

Status Failed(const char* what) { return Error(Cause::kInternal, std::string("OpenSSL failed at ") + what); }

using Extensions = std::vector<std::pair<int, std::string>>;

Status AddExtensions(X509* certificate, X509* issuer, const Extensions& extensions) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  for (const auto& [nid, value] : extensions) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
    const bool added = extension != nullptr && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    if (!added) return Failed(OBJ_nid2ln(nid));
  }
  return OkStatus();
}

// A certificate for `key` named `name`, valid from yesterday: clocks differ. `issuer` null: signed by itself.
X509Ptr NewCertificate(EVP_PKEY* key, const char* name, const Clock& clock, int64_t days, X509* issuer) {
  X509Ptr certificate(X509_new());
  std::array<uint8_t, 16> serial;
  RAND_bytes(serial.data(), serial.size());
  serial[0] &= 0x7f;
  BIGNUM* number = BN_bin2bn(serial.data(), serial.size(), nullptr);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate.get()));
  BN_free(number);
  const time_t now = absl::ToTimeT(clock.Now());
  ASN1_TIME_set(X509_getm_notBefore(certificate.get()), now - kDay);
  ASN1_TIME_set(X509_getm_notAfter(certificate.get()), now + days * kDay);
  X509_set_version(certificate.get(), 2);
  X509_set_pubkey(certificate.get(), key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const uint8_t*>(name), -1, -1, 0);
  X509_set_issuer_name(certificate.get(),
                       X509_get_subject_name(issuer == nullptr ? certificate.get() : issuer));
  return certificate;
}

std::string PemOf(X509* certificate) {
  const Bio out(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(out.get(), certificate);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

std::string PemOf(EVP_PKEY* key) {
  const Bio out(BIO_new(BIO_s_secmem()));
  PEM_write_bio_PrivateKey(out.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

Status WriteFile(const std::string& path, const std::string& text, mode_t mode) {
  const std::string fresh = path + ".new";
  const int fd = open(fresh.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, mode);
  if (fd < 0) return ErrnoError(errno, "writing " + fresh);
  const bool written =
      write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(fd) == 0;
  close(fd);
  return written && rename(fresh.c_str(), path.c_str()) == 0 ? OkStatus()
                                                             : ErrnoError(errno, "writing " + path);
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

X509Ptr ReadCertificate(const std::string& path) {
  const std::string pem = ReadFile(path);
  const Bio in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return X509Ptr(PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr));
}

PrivateKey ReadKey(const std::string& path) {
  const std::string pem = ReadFile(path);
  const Bio in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return PrivateKey(PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr));
}

// The authority's key is written first and its certificate last: a certificate that is there has its key.
Status MakeAuthority(const std::string& dir, const Clock& clock) {
  const PrivateKey key(EVP_EC_gen("P-256"));
  const X509Ptr certificate =
      NewCertificate(key.get(), "Keyhold node authority", clock, kAuthorityDays, nullptr);
  KEYHOLD_RETURN_IF_ERROR(AddExtensions(certificate.get(), certificate.get(),
                                        {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
                                         {NID_key_usage, "critical,keyCertSign"},
                                         {NID_subject_key_identifier, "hash"}}));
  if (X509_sign(certificate.get(), key.get(), EVP_sha256()) == 0) return Failed("signing the authority");
  KEYHOLD_RETURN_IF_ERROR(WriteFile(dir + "/ca-key.pem", PemOf(key.get()), 0600));
  return WriteFile(dir + "/ca.pem", PemOf(certificate.get()), 0644);
}

std::string Names() {
  std::string names = "DNS:localhost,IP:127.0.0.1,IP:::1";
  std::array<char, 256> host{};
  // A name of any other form would be read as further names, or as none.
  const auto fits = [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '.' || c == '_';
  };
  const std::string name = gethostname(host.data(), host.size() - 1) == 0 ? host.data() : "";
  if (!name.empty() && std::all_of(name.begin(), name.end(), fits)) names += ",DNS:" + name;
  return names;
}

struct Authority {
  X509Ptr certificate;
  PrivateKey key;
};

StatusOr<Authority> ReadAuthority(const std::string& dir) {
  Authority authority{ReadCertificate(dir + "/ca.pem"), ReadKey(dir + "/ca-key.pem")};
  if (authority.certificate != nullptr && authority.key != nullptr &&
      X509_check_private_key(authority.certificate.get(), authority.key.get()) == 1)
    return authority;
  return Error(Cause::kCorrupt,
               dir +
                   "/ca.pem or ca-key.pem is damaged; remove both to make new ones, and have "
                   "clients fetch the new CA with ccloud cluster cert");
}

Status MakeLeaf(const std::string& dir, const Authority& authority, const Clock& clock) {
  const PrivateKey key(EVP_EC_gen("P-256"));
  const X509Ptr certificate =
      NewCertificate(key.get(), "Keyhold gateway", clock, kLeafDays, authority.certificate.get());
  KEYHOLD_RETURN_IF_ERROR(AddExtensions(certificate.get(), authority.certificate.get(),
                                        {{NID_basic_constraints, "critical,CA:FALSE"},
                                         {NID_key_usage, "critical,digitalSignature"},
                                         {NID_ext_key_usage, "serverAuth"},
                                         {NID_subject_alt_name, Names()},
                                         {NID_authority_key_identifier, "keyid"}}));
  if (X509_sign(certificate.get(), authority.key.get(), EVP_sha256()) == 0)
    return Failed("signing a certificate");
  KEYHOLD_RETURN_IF_ERROR(WriteFile(dir + "/key.pem", PemOf(key.get()), 0600));
  return WriteFile(dir + "/cert.pem", PemOf(certificate.get()), 0644);
}

// A pair that fits, that this authority has signed, and that does not end soon.
bool IsGood(const std::string& dir, const Authority& authority, const Clock& clock) {
  const X509Ptr certificate = ReadCertificate(dir + "/cert.pem");
  const PrivateKey key = ReadKey(dir + "/key.pem");
  if (certificate == nullptr || key == nullptr || X509_check_private_key(certificate.get(), key.get()) != 1 ||
      X509_verify(certificate.get(), authority.key.get()) != 1)
    return false;
  time_t renew_at = absl::ToTimeT(clock.Now()) + kRenewDays * kDay;
  return X509_cmp_time(X509_get0_notAfter(certificate.get()), &renew_at) > 0;
}

}  // namespace

StatusOr<Certificate> EnsureCertificate(const std::string& dir, const Clock& clock) {
  if (mkdir(dir.c_str(), 0700) != 0 && errno != EEXIST) return ErrnoError(errno, "making " + dir);
  if (access((dir + "/ca.pem").c_str(), F_OK) != 0) KEYHOLD_RETURN_IF_ERROR(MakeAuthority(dir, clock));
  KEYHOLD_ASSIGN_OR_RETURN(const Authority authority, ReadAuthority(dir));
  if (!IsGood(dir, authority, clock)) KEYHOLD_RETURN_IF_ERROR(MakeLeaf(dir, authority, clock));
  return Certificate{ReadFile(dir + "/ca.pem"), ReadFile(dir + "/cert.pem"), dir + "/cert.pem",
                     dir + "/key.pem"};
}

}  // namespace keyhold::node
