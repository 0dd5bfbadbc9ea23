// The real transport, through a real proxy and real TLS, against a server that misbehaves.
#include "kms/http.h"

#include <algorithm>

#include "tests/kms/fixture.h"
#include "tests/kms/tls_server.h"

namespace keyhold::kms {
namespace {

using testing::Behaviour;
using ::testing::HasSubstr;
using testing::Http;

constexpr char kHost[] = "kms.us-east-1.amazonaws.com";

class Transport : public Kmss {
 protected:
  HttpTransport& Connected() {
    if (transport_ == nullptr) {
      HttpOptions options;
      options.https_proxy = server_.proxy();
      options.ca_file = ca_;
      transport_ = *NewHttpTransport(options);
    }
    return *transport_;
  }
  static HttpRequest Request(absl::Duration timeout = absl::Seconds(10)) {
    HttpRequest request;
    request.host = kHost;
    request.headers = {{"Content-Type", "application/x-amz-json-1.1"},
                       {"X-Amz-Target", "TrentService.Encrypt"}};
    request.body = crypto::SecretBytes::CopyOf(crypto::AsBytes("{\"a\":1}"));
    request.timeout = timeout;
    return request;
  }
  // The reason why there was no answer.
  std::string Unreachable(Behaviour behaviour, absl::Duration timeout = absl::Seconds(10)) {
    server_.Behave(behaviour);
    const auto response = Connected().Send(Request(timeout));
    EXPECT_FALSE(response.ok());
    if (response.ok()) return "";
    EXPECT_EQ(CauseOf(response.status()), Cause::kKmsUnreachable) << response.status();
    EXPECT_THAT(std::string(response.status().message()), HasSubstr(kHost));
    return std::string(response.status().message());
  }

  const std::string ca_ = dir_.File("ca.pem");
  testing::TlsServer server_{kHost, ca_};
  std::unique_ptr<HttpTransport> transport_;
};

TEST_F(Transport, BringsTheAnswer) {
  server_.Answer(Http(400, "{\"b\":2}", "X-Amzn-RequestId:  id-1 \r\n"));
  const auto response = Connected().Send(Request());
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->status, 400);
  EXPECT_EQ(response->body.ExposeText(), "{\"b\":2}");
  EXPECT_EQ(response->headers.at("x-amzn-requestid"), "id-1");
  EXPECT_THAT(server_.requests()[0], HasSubstr("POST / HTTP/1.1\r\n"));
  EXPECT_THAT(server_.requests()[0], HasSubstr("\r\n\r\n{\"a\":1}"));
}

TEST_F(Transport, KeepsItsConnection) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Connected().Send(Request()).ok());
  EXPECT_EQ(server_.connections(), 1);
}

TEST_F(Transport, ServesManyThreads) {
  Connected();
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 5; ++j) good += Connected().Send(Request()).ok() ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 40);
  EXPECT_LE(server_.connections(), 8);
}

TEST_F(Transport, SignsEveryHeaderThatMatters) {
  auto credentials = std::make_shared<AwsCredentials>();
  credentials->access_key_id = "AKIATEST";
  credentials->secret_access_key = crypto::SecretBytes::CopyOf(crypto::AsBytes("wJalrXUtnFEMI/K7MDENG"));
  credentials->session_token = crypto::SecretBytes::CopyOf(crypto::AsBytes("to/ken+=="));
  HttpRequest request = Request();
  request.aws = AwsSigning{"us-east-1", "kms", credentials};
  ASSERT_TRUE(Connected().Send(request).ok());
  const std::string sent = server_.requests()[0];
  EXPECT_THAT(sent, HasSubstr("Authorization: AWS4-HMAC-SHA256 Credential=AKIATEST/"));
  EXPECT_THAT(sent,
              HasSubstr("/us-east-1/kms/aws4_request, "
                        "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, "));
  EXPECT_THAT(sent, HasSubstr("X-Amz-Security-Token: to/ken+==\r\n"));
  EXPECT_EQ(sent.find("wJalrXUtnFEMI"), std::string::npos);
  // Nothing of it stays with the kept connection.
  ASSERT_TRUE(Connected().Send(Request()).ok());
  EXPECT_EQ(server_.requests()[1].find("Authorization"), std::string::npos);
}

TEST_F(Transport, SendsABearerToken) {
  HttpRequest request = Request();
  request.bearer =
      std::make_shared<crypto::SecretBytes>(crypto::SecretBytes::CopyOf(crypto::AsBytes("a.b-c")));
  ASSERT_TRUE(Connected().Send(request).ok());
  EXPECT_THAT(server_.requests()[0], HasSubstr("\r\nAuthorization: Bearer a.b-c\r\n"));
}

TEST_F(Transport, ATokenThatIsNoneIsNotSent) {
  for (const std::string token : {"", "a b", "a\r\nHost: other", "a\x01"}) {
    HttpRequest request = Request();
    request.bearer =
        std::make_shared<crypto::SecretBytes>(crypto::SecretBytes::CopyOf(crypto::AsBytes(token)));
    EXPECT_EQ(CauseOf(Connected().Send(request).status()), Cause::kInvalidArgument) << token;
  }
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(Transport, PlainHttpIsForMetadataServicesAlone) {
  HttpRequest request = Request();
  request.metadata = true;
  EXPECT_EQ(CauseOf(Connected().Send(request).status()), Cause::kInvalidArgument);
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(Transport, RefusedByTheProxyIsUnreachable) {
  EXPECT_THAT(Unreachable(Behaviour::kRefuseConnect), HasSubstr("403"));
  Unreachable(Behaviour::kCloseAtConnect);
}

TEST_F(Transport, HangEndsWithTheTimeout) {
  const auto start = std::chrono::steady_clock::now();
  EXPECT_THAT(Unreachable(Behaviour::kHang, absl::Milliseconds(200)), HasSubstr("timed out"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST_F(Transport, ResetAndCutAnswersAreUnreachable) {
  Unreachable(Behaviour::kReset);
  Unreachable(Behaviour::kCutShort);
}

TEST_F(Transport, ComesBackAfterAFault) {
  Unreachable(Behaviour::kReset);
  server_.Behave(Behaviour::kAnswer);
  EXPECT_TRUE(Connected().Send(Request()).ok());
}

TEST_F(Transport, OldTlsIsRefused) { Unreachable(Behaviour::kOldTls); }

TEST_F(Transport, OverlongAnswersAreCutOff) {
  server_.Answer(Http(200, std::string(300 << 10, 'x')));
  EXPECT_THAT(Unreachable(Behaviour::kAnswer), HasSubstr("longer than"));
  server_.Answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50000\r\n" +
                 std::string(0x50000, 'x') + "\r\n0\r\n\r\n");
  EXPECT_THAT(Unreachable(Behaviour::kAnswer), HasSubstr("longer than"));
}

TEST_F(Transport, GarbageIsUnreachable) {
  server_.Answer("220 smtp.example ready\r\n");
  Unreachable(Behaviour::kAnswer);
}

TEST_F(Transport, RedirectsAreAnswersAndNotFollowed) {
  server_.Answer(Http(307, "", "Location: https://evil.example/\r\n"));
  const auto response = Connected().Send(Request());
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->status, 307);
  EXPECT_EQ(server_.requests().size(), 1U);
}

TEST_F(Transport, AnotherNamesCertificateIsRefused) {
  HttpRequest request = Request();
  request.host = "sts.us-east-1.amazonaws.com";
  const auto response = Connected().Send(request);
  EXPECT_EQ(CauseOf(response.status()), Cause::kKmsUnreachable);
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(Transport, UnknownCaIsRefused) {
  const std::string other_ca = dir_.File("other.pem");
  const testing::TlsServer other(kHost, other_ca);
  HttpOptions options;
  options.https_proxy = server_.proxy();
  options.ca_file = other_ca;
  const auto transport = NewHttpTransport(options);
  ASSERT_TRUE(transport.ok());
  EXPECT_EQ(CauseOf((*transport)->Send(Request()).status()), Cause::kKmsUnreachable);
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(Transport, NobodyThereIsUnreachable) {
  HttpOptions options;
  options.https_proxy = "http://127.0.0.1:1";
  const auto transport = NewHttpTransport(options);
  const Status status = (*transport)->Send(Request()).status();
  EXPECT_EQ(CauseOf(status), Cause::kKmsUnreachable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("through the proxy http://127.0.0.1:1"));
}

TEST_F(Transport, NoTimeLeftIsUnreachable) {
  EXPECT_EQ(CauseOf(Connected().Send(Request(absl::ZeroDuration())).status()), Cause::kKmsUnreachable);
  EXPECT_EQ(server_.connections(), 0);
}

TEST_F(Transport, OptionsAreChecked) {
  HttpOptions options;
  for (const char* proxy : {"127.0.0.1:1", "socks5://127.0.0.1:1", "file:///etc/passwd"}) {
    options.https_proxy = proxy;
    EXPECT_EQ(CauseOf(NewHttpTransport(options).status()), Cause::kInvalidArgument) << proxy;
  }
  options.https_proxy = "";
  options.ca_file = "/nowhere/ca.pem";
  EXPECT_EQ(CauseOf(NewHttpTransport(options).status()), Cause::kInvalidArgument);
}

}  // namespace
}  // namespace keyhold::kms
