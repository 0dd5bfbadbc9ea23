#include "tests/kms/tls_server.h"

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace keyhold::testing {
namespace {

void Require(bool ok) {
  if (!ok) std::abort();
}

void Extend(X509* certificate, int nid, const std::string& value) {
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
  Require(extension != nullptr && X509_add_ext(certificate, extension, -1) == 1);
  X509_EXTENSION_free(extension);
}

X509* SelfSigned(EVP_PKEY* key, const std::string& name) {
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_NAME* subject = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("test"), -1,
                             -1, 0);
  X509_set_issuer_name(certificate, subject);
  X509_set_pubkey(certificate, key);
  Extend(certificate, NID_basic_constraints, "critical,CA:TRUE");
  Extend(certificate, NID_subject_alt_name, "DNS:" + name);
  Require(X509_sign(certificate, key, EVP_sha256()) > 0);
  return certificate;
}

void WritePem(X509* certificate, const std::string& path) {
  FILE* file = std::fopen(path.c_str(), "w");
  Require(file != nullptr && PEM_write_X509(file, certificate) == 1);
  std::fclose(file);
}

size_t BodySize(const std::string& head) {
  const size_t at = head.find("Content-Length: ");
  return at == std::string::npos ? 0 : std::strtoul(head.c_str() + at + 16, nullptr, 10);
}

// One request, head and body; empty at the end of the connection.
std::string ReadRequest(const std::function<int(char*, int)>& read) {
  std::string request;
  char buffer[4096];
  while (true) {
    const size_t head = request.find("\r\n\r\n");
    if (head != std::string::npos && request.size() >= head + 4 + BodySize(request.substr(0, head)))
      return request;
    const int size = read(buffer, sizeof(buffer));
    if (size <= 0) return "";
    request.append(buffer, static_cast<size_t>(size));
  }
}

// Until the other side goes, or this server ends.
void WaitForEnd(int fd) {
  char buffer[256];
  while (recv(fd, buffer, sizeof(buffer), 0) > 0) {
  }
}

void Reset(int fd) {
  const linger now{1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

}  // namespace

std::string Http(int status, const std::string& body, const std::string& headers) {
  return "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Type: application/x-amz-json-1.1\r\n" +
         headers + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

TlsServer::TlsServer(const std::string& name, const std::string& ca_path) : answer_(Http(200, "{}")) {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = SelfSigned(key, name);
  WritePem(certificate, ca_path);
  context_ = SSL_CTX_new(TLS_server_method());
  SSL_CTX_set_security_level(context_, 0);
  Require(SSL_CTX_use_certificate(context_, certificate) == 1 && SSL_CTX_use_PrivateKey(context_, key) == 1);
  X509_free(certificate);
  EVP_PKEY_free(key);

  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  Require(bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0 && listen(listener_, 16) == 0);
  Require(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

TlsServer::~TlsServer() {
  shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  {
    const std::lock_guard lock(mutex_);
    for (const int fd : open_) shutdown(fd, SHUT_RDWR);
  }
  for (std::thread& thread : threads_) thread.join();
  for (const int fd : open_) close(fd);
  close(listener_);
  SSL_CTX_free(context_);
}

void TlsServer::Answer(const std::string& answer) {
  const std::lock_guard lock(mutex_);
  answer_ = answer;
}

std::vector<std::string> TlsServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void TlsServer::Accept() {
  while (true) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    ++connections_;
    const std::lock_guard lock(mutex_);
    open_.push_back(fd);
    threads_.emplace_back([this, fd] {
      Serve(fd);
      shutdown(fd, SHUT_RDWR);
    });
  }
}

void TlsServer::Serve(int fd) {
  sigset_t pipe;  // of this thread only: the client's own writes must not need it
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
  const std::string connect =
      ReadRequest([fd](char* buffer, int size) { return static_cast<int>(recv(fd, buffer, size, 0)); });
  if (connect.empty() || behaviour_ == Behaviour::kCloseAtConnect) return;
  const std::string reply = behaviour_ == Behaviour::kRefuseConnect
                                ? Http(403, "not here")
                                : "HTTP/1.1 200 Connection established\r\n\r\n";
  send(fd, reply.data(), reply.size(), MSG_NOSIGNAL);
  if (behaviour_ != Behaviour::kRefuseConnect) ServeTls(fd);
}

void TlsServer::ServeTls(int fd) {
  SSL* tls = SSL_new(context_);
  SSL_set_fd(tls, fd);
  SSL_set_min_proto_version(tls, TLS1_VERSION);
  if (behaviour_ == Behaviour::kOldTls) SSL_set_max_proto_version(tls, TLS1_1_VERSION);
  if (SSL_accept(tls) == 1) ServeRequests(tls, fd);
  SSL_free(tls);
}

void TlsServer::ServeRequests(SSL* tls, int fd) {
  while (true) {
    const std::string request =
        ReadRequest([tls](char* buffer, int size) { return SSL_read(tls, buffer, size); });
    if (request.empty()) return;
    std::string answer;
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
      answer = answer_;
    }
    if (behaviour_ == Behaviour::kHang) return WaitForEnd(fd);
    if (behaviour_ == Behaviour::kReset) return Reset(fd);
    const bool cut = behaviour_ == Behaviour::kCutShort;
    SSL_write(tls, answer.data(), static_cast<int>(cut ? answer.size() - 1 : answer.size()));
    if (cut) return;
  }
}

}  // namespace keyhold::testing
