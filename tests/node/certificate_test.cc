// The gateway's certificate and its authority: made, kept, renewed; damaged files.
#include "node/certificate.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "tests/base/fake_clock.h"
#include "tests/base/temp_dir.h"

namespace keyhold::node {
namespace {

using testing::ReadFile;
using testing::WriteFile;

struct FreeX509 {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
using X509Ptr = std::unique_ptr<X509, FreeX509>;

X509Ptr Parse(const std::string& pem) {
  BIO* in = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  X509Ptr certificate(PEM_read_bio_X509(in, nullptr, nullptr, nullptr));
  BIO_free(in);
  return certificate;
}

class CertificateTest : public ::testing::Test {
 protected:
  Certificate Ensure() {
    auto certificate = EnsureCertificate(tls_, clock_);
    EXPECT_TRUE(certificate.ok()) << certificate.status();
    return certificate.ok() ? *certificate : Certificate();
  }
  // As a client does: the chain, the time, the purpose and the name. 0, or OpenSSL's error.
  int Verify(const Certificate& certificate, const std::string& host) const {
    const X509Ptr authority = Parse(certificate.ca_pem);
    const X509Ptr leaf = Parse(ReadFile(certificate.certificate_path));
    X509_STORE* trusted = X509_STORE_new();
    X509_STORE_add_cert(trusted, authority.get());
    X509_STORE_CTX* context = X509_STORE_CTX_new();
    X509_STORE_CTX_init(context, trusted, leaf.get(), nullptr);
    X509_VERIFY_PARAM* param = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_time(param, absl::ToTimeT(clock_.Now()));
    X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER);
    if (X509_VERIFY_PARAM_set1_ip_asc(param, host.c_str()) != 1)
      X509_VERIFY_PARAM_set1_host(param, host.c_str(), host.size());
    const int error = X509_verify_cert(context) == 1 ? 0 : X509_STORE_CTX_get_error(context);
    X509_STORE_CTX_free(context);
    X509_STORE_free(trusted);
    return error;
  }
  mode_t Mode(const std::string& name) const {
    struct stat info {};
    EXPECT_EQ(stat((tls_ + name).c_str(), &info), 0) << name;
    return info.st_mode & 0777;
  }

  testing::TempDir dir_;
  const std::string tls_ = dir_.File("tls");
  testing::FakeClock clock_;
};

TEST_F(CertificateTest, IsWhatClientsVerifyUnderEveryName) {
  const Certificate certificate = Ensure();
  std::string host(256, '\0');
  ASSERT_EQ(gethostname(host.data(), host.size() - 1), 0);
  for (const std::string& name :
       {std::string("localhost"), std::string("127.0.0.1"), std::string("::1"), std::string(host.c_str())}) {
    EXPECT_EQ(Verify(certificate, name), 0) << name;
  }
  EXPECT_EQ(Verify(certificate, "example.com"), X509_V_ERR_HOSTNAME_MISMATCH);
  EXPECT_EQ(Verify(certificate, "127.0.0.2"), X509_V_ERR_IP_ADDRESS_MISMATCH);
}

TEST_F(CertificateTest, KeysAreTheirOwnersAlone) {
  Ensure();
  EXPECT_EQ(Mode(""), 0700U);
  EXPECT_EQ(Mode("/key.pem"), 0600U);
  EXPECT_EQ(Mode("/ca-key.pem"), 0600U);
}

TEST_F(CertificateTest, IsKeptUntilThirtyDaysBeforeItsEnd) {
  const Certificate first = Ensure();
  const std::string leaf = ReadFile(first.certificate_path);
  clock_.Advance(absl::Hours(24 * 334));
  EXPECT_EQ(ReadFile(Ensure().certificate_path), leaf);
  clock_.Advance(absl::Hours(24 * 2));
  const Certificate renewed = Ensure();
  EXPECT_NE(ReadFile(renewed.certificate_path), leaf);
  EXPECT_EQ(renewed.ca_pem, first.ca_pem) << "clients hold the authority's certificate";
  clock_.Advance(absl::Hours(24 * 300));
  EXPECT_EQ(Verify(renewed, "localhost"), 0);
}

TEST_F(CertificateTest, AHalfWrittenPairIsMadeAnew) {
  const Certificate first = Ensure();
  const std::string old_key = ReadFile(first.key_path);
  clock_.Advance(absl::Hours(24 * 340));
  Ensure();
  for (const std::string& key : {old_key, std::string(), old_key.substr(0, old_key.size() / 2)}) {
    WriteFile(first.key_path, key);
    const Certificate again = Ensure();
    EXPECT_NE(ReadFile(again.key_path), key);
    EXPECT_EQ(Verify(again, "localhost"), 0);
  }
  std::filesystem::remove(first.certificate_path);
  EXPECT_EQ(Verify(Ensure(), "localhost"), 0);
}

TEST_F(CertificateTest, APairOfAnotherAuthorityIsMadeAnew) {
  Ensure();
  const std::string leaf = ReadFile(tls_ + "/cert.pem");
  std::filesystem::remove(tls_ + "/ca.pem");
  std::filesystem::remove(tls_ + "/ca-key.pem");
  const Certificate again = Ensure();
  EXPECT_NE(ReadFile(again.certificate_path), leaf);
  EXPECT_EQ(Verify(again, "localhost"), 0);
}

TEST_F(CertificateTest, ADamagedAuthorityIsSaidAndLeftAsItIs) {
  Ensure();
  for (const char* name : {"/ca.pem", "/ca-key.pem"}) {
    const std::string whole = ReadFile(tls_ + name);
    WriteFile(tls_ + name, "damaged");
    std::filesystem::remove(tls_ + "/cert.pem");
    const auto refused = EnsureCertificate(tls_, clock_);
    EXPECT_EQ(CauseOf(refused.status()), Cause::kCorrupt) << name;
    EXPECT_EQ(ReadFile(tls_ + name), "damaged");
    WriteFile(tls_ + name, whole);
    EXPECT_EQ(Verify(Ensure(), "localhost"), 0);
  }
  WriteFile(tls_ + "/ca.pem", "damaged");
  EXPECT_EQ(CauseOf(EnsureCertificate(tls_, clock_).status()), Cause::kCorrupt)
      << "with a pair that is whole";
}

TEST_F(CertificateTest, ADirectoryThatCannotBeMadeIsNamed) {
  const Status status = EnsureCertificate(dir_.File("missing/tls"), clock_).status();
  EXPECT_EQ(ErrnoOf(status), ENOENT);
  EXPECT_NE(status.message().find("missing/tls"), std::string::npos) << status;
}

}  // namespace
}  // namespace keyhold::node
