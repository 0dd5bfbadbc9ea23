#include "gateway/server_channel.h"

#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace keyhold::gateway {
namespace {

constexpr size_t kMaxPieces = 64;

Status ConnectError(int error) {
  if (error == EAGAIN) return Error(Cause::kConflict, "PostgreSQL's queue of connections is full");
  return Error(Cause::kUnavailable, "the database does not take connections now; try again in a moment");
}

int ConnectTo(int fd, const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 ? 0 : errno;
}

}  // namespace

Status ServerChannel::Connect() {
  if (!front_.Opened()) return Error(Cause::kConflict, "the gateway is locked");
  fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int error = fd_ < 0 ? errno : ConnectTo(fd_, front_.upstream_socket);
  if (error == 0) return OkStatus();
  if (fd_ < 0) front_.Closed();
  Close();
  return ConnectError(error);
}

IoResult ServerChannel::Read(char* out, size_t size, size_t* got) {
  ssize_t count = 0;
  do {
    count = recv(fd_, out, size, 0);
  } while (count < 0 && errno == EINTR);
  if (count > 0) {
    *got = static_cast<size_t>(count);
    return IoResult::kDone;
  }
  if (count == 0) return IoResult::kClosed;
  return errno == EAGAIN ? IoResult::kWantRead : IoResult::kFailed;
}

IoResult ServerChannel::Write(const Outgoing& bytes, size_t* put) {
  std::array<iovec, kMaxPieces> vector{};
  const size_t pieces = std::min(bytes.pieces().size(), kMaxPieces);
  for (size_t i = 0; i < pieces; ++i) {
    const std::string_view piece = bytes.pieces()[i];
    vector[i] = {.iov_base = const_cast<char*>(piece.data()), .iov_len = piece.size()};
  }
  const msghdr message{.msg_iov = vector.data(), .msg_iovlen = pieces};
  ssize_t count = 0;
  do {
    count = sendmsg(fd_, &message, MSG_NOSIGNAL);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return errno == EAGAIN ? IoResult::kWantWrite : IoResult::kFailed;
  *put = static_cast<size_t>(count);
  return IoResult::kDone;
}

IoResult ServerChannel::Write(std::string_view bytes, size_t* put) {
  Outgoing out;
  out.Pass(bytes);
  return Write(out, put);
}

void ServerChannel::Close() {
  if (fd_ < 0) return;
  close(fd_);
  fd_ = -1;
  front_.Closed();
}

}  // namespace keyhold::gateway
