#include "tests/gateway/door.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

namespace keyhold::gateway {

Raw::Raw(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
}

Raw::~Raw() { close(fd_); }

void Raw::Send(const std::string& bytes) const {
  EXPECT_EQ(send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
}

std::string Raw::Receive(size_t size) const {
  std::string out(size, '\0');
  const ssize_t got = recv(fd_, out.data(), size, MSG_WAITALL);
  out.resize(got < 0 ? 0 : static_cast<size_t>(got));
  return out;
}

std::string Raw::ReceiveAll() const {
  std::string out;
  while (true) {
    pollfd waiting{.fd = fd_, .events = POLLIN, .revents = 0};
    if (poll(&waiting, 1, 10'000) == 0) return "open";
    const std::string more = Receive(1);
    if (more.empty()) return out;
    out += more;
  }
}

Encrypted::Encrypted(uint16_t port) : raw_(port), context_(SSL_CTX_new(TLS_client_method())) {
  const timeval patience{.tv_sec = 10, .tv_usec = 0};
  setsockopt(raw_.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  raw_.Send(Packet(kSslRequest));
  EXPECT_EQ(raw_.Receive(1), "S");
  ssl_.reset(SSL_new(context_.get()));
  SSL_set_fd(ssl_.get(), raw_.fd());
  EXPECT_EQ(SSL_connect(ssl_.get()), 1);
}

void Encrypted::Send(const std::string& bytes) {
  EXPECT_EQ(SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())),
            static_cast<int>(bytes.size()));
}

std::string Encrypted::Receive(size_t size) {
  std::string out;
  while (out.size() < size) {
    std::string piece(size - out.size(), '\0');
    const int got = SSL_read(ssl_.get(), piece.data(), static_cast<int>(piece.size()));
    if (got <= 0) break;
    out.append(piece, 0, static_cast<size_t>(got));
  }
  return out;
}

std::string Encrypted::ReceiveAll() {
  std::string out;
  for (std::string more; !(more = Receive(1)).empty();) out += more;
  char byte = 0;
  EXPECT_EQ(recv(raw_.fd(), &byte, 1, 0), 0) << "still open";
  return out;
}

std::string Packet(uint32_t code, const std::string& body) {
  return U32(static_cast<uint32_t>(8 + body.size())) + U32(code) + body;
}

std::string Startup(uint32_t minor) {
  return Packet((3 << 16) + minor, std::string("user\0app\0database\0app\0\0", 23));
}

Door::Door(GatewayLimits limits, std::vector<std::string> allowlist, const std::string& upstream) {
  MakeCertificate(dir);
  GatewayOptions options = OptionsFor(dir, upstream);
  options.limits = limits;
  options.allowlist = std::move(allowlist);
  auto started = Gateway::Start(options);
  EXPECT_TRUE(started.ok()) << started.status();
  gateway = *std::move(started);
}

std::string Door::Psql(const std::string& more) const {
  return Shell(absl::StrCat(
                   "psql -X 'host=127.0.0.1 user=a password=b dbname=c sslmode=verify-full sslrootcert=",
                   dir.File("cert.pem"), " port=", gateway->port(), " ", more, "' -c 'SELECT 1'"))
      .output;
}

}  // namespace keyhold::gateway
