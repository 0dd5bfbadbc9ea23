// A CONNECT proxy with an HTTPS server behind it, on a free port of 127.0.0.1, that can misbehave in every
// way that a network or a server can.
#pragma once

#include <openssl/ssl.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace keyhold::testing {

// What happens to a connection.
enum class Behaviour {
  kAnswer,          // `answer` of the server, connection kept
  kRefuseConnect,   // the proxy says 403
  kCloseAtConnect,  // the proxy hangs up
  kHang,            // nothing more is ever sent
  kReset,           // the request is read, then RST
  kCutShort,        // half of the answer, then the end
  kOldTls,          // TLS 1.1 only
};

class TlsServer {
 public:
  // Its certificate is for `name`; it is its own CA, in the file `ca_path`.
  TlsServer(const std::string& name, const std::string& ca_path);
  ~TlsServer();
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;

  void Behave(Behaviour behaviour) { behaviour_ = behaviour; }
  // The bytes that answer the next requests.
  void Answer(const std::string& answer);
  std::string proxy() const { return "http://127.0.0.1:" + std::to_string(port_); }

  // Requests as they came in, and how many connections there were.
  std::vector<std::string> requests() const;
  int connections() const { return connections_; }

 private:
  void Accept();
  void Serve(int fd);
  void ServeTls(int fd);
  void ServeRequests(SSL* tls, int fd);

  SSL_CTX* context_ = nullptr;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<Behaviour> behaviour_ = Behaviour::kAnswer;
  std::atomic<int> connections_ = 0;
  mutable std::mutex mutex_;
  std::string answer_;                 // guarded by mutex_
  std::vector<std::string> requests_;  // guarded by mutex_
  std::vector<int> open_;              // guarded by mutex_: shut down at the end
  std::vector<std::thread> threads_;   // guarded by mutex_
  std::thread acceptor_;
};

// A whole HTTP answer.
std::string Http(int status, const std::string& body, const std::string& headers = "");

}  // namespace keyhold::testing
