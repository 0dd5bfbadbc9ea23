// What a client that asks for less gets of Keyhold's TLS servers.
#include "crypto/tls_context.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "tests/base/temp_dir.h"

namespace keyhold::crypto {
namespace {

using Ssl = std::unique_ptr<SSL, FreeBy<SSL_free>>;

// A client and a server in memory; the certificate's key is RSA, with which TLS 1.2 has its weakest suites.
class TlsContextTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = new testing::TempDir;
    const std::string make = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=test -keyout " +
                             dir_->File("key.pem") + " -out " + dir_->File("cert.pem") + " 2>/dev/null";
    ASSERT_EQ(std::system(make.c_str()), 0);
  }
  static void TearDownTestSuite() { delete dir_; }

  TlsContextTest() : client_context_(SSL_CTX_new(TLS_client_method())) {
    auto made = MakeServerContext(dir_->File("cert.pem"), dir_->File("key.pem"));
    EXPECT_TRUE(made.ok()) << made.status();
    server_context_ = *std::move(made);
    SSL_CTX_set_security_level(client_context_.get(), 0);
  }

  // True when both are through.
  bool Shake() {
    client_.reset(SSL_new(client_context_.get()));
    server_.reset(SSL_new(server_context_.get()));
    BIO* client_end = nullptr;
    BIO* server_end = nullptr;
    EXPECT_EQ(BIO_new_bio_pair(&client_end, 0, &server_end, 0), 1);
    SSL_set_bio(client_.get(), client_end, client_end);
    SSL_set_bio(server_.get(), server_end, server_end);
    SSL_set_connect_state(client_.get());
    SSL_set_accept_state(server_.get());
    return Turns();
  }

  bool Turns() {
    int client = 0;
    int server = 0;
    for (int i = 0; i < 10 && (client != 1 || server != 1); ++i) {
      client = SSL_do_handshake(client_.get());
      server = SSL_do_handshake(server_.get());
    }
    return client == 1 && server == 1;
  }

  void OnlyTls12() { SSL_CTX_set_max_proto_version(client_context_.get(), TLS1_2_VERSION); }

  static testing::TempDir* dir_;
  SslContext client_context_;
  SslContext server_context_;
  Ssl client_;
  Ssl server_;
};
testing::TempDir* TlsContextTest::dir_ = nullptr;

TEST_F(TlsContextTest, SpeaksTls12And13) {
  EXPECT_TRUE(Shake());
  EXPECT_STREQ(SSL_get_version(client_.get()), "TLSv1.3");
  OnlyTls12();
  EXPECT_TRUE(Shake());
  EXPECT_STREQ(SSL_get_version(client_.get()), "TLSv1.2");
}

TEST_F(TlsContextTest, OlderOnesAreRefused) {
  for (const int version : {TLS1_VERSION, TLS1_1_VERSION}) {
    SSL_CTX_set_min_proto_version(client_context_.get(), version);
    SSL_CTX_set_max_proto_version(client_context_.get(), version);
    EXPECT_FALSE(Shake()) << version;
  }
}

TEST_F(TlsContextTest, SuitesWithoutForwardSecrecyOrAuthenticatedEncryptionAreRefused) {
  OnlyTls12();
  for (const char* suite : {"AES128-SHA", "AES256-GCM-SHA384", "ECDHE-RSA-AES128-SHA",
                            "ECDHE-RSA-AES256-SHA384", "AECDH-AES128-SHA", "NULL-SHA256"}) {
    ASSERT_EQ(SSL_CTX_set_cipher_list(client_context_.get(), suite), 1) << suite;
    EXPECT_FALSE(Shake()) << suite;
  }
  for (const char* suite : {"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305"}) {
    ASSERT_EQ(SSL_CTX_set_cipher_list(client_context_.get(), suite), 1) << suite;
    EXPECT_TRUE(Shake()) << suite;
  }
}

TEST_F(TlsContextTest, NothingIsCompressedAndNobodyNegotiatesAgain) {
  OnlyTls12();
  SSL_CTX_clear_options(client_context_.get(), SSL_OP_NO_COMPRESSION);
  ASSERT_TRUE(Shake());
  EXPECT_EQ(SSL_get_current_compression(server_.get()), nullptr);
  ASSERT_EQ(SSL_renegotiate(client_.get()), 1);
  SSL_do_handshake(client_.get());
  char byte = 0;
  EXPECT_LE(SSL_read(server_.get(), &byte, 1), 0);
  EXPECT_LE(SSL_read(client_.get(), &byte, 1), 0);
  EXPECT_EQ(SSL_num_renegotiations(server_.get()), 0);
}

}  // namespace
}  // namespace keyhold::crypto
