// The address of a Unix socket. A sockaddr_un holds 107 bytes (unix(7)): the socket's directory is reached by
// its descriptor, so that any path fits.
#pragma once

#include <string>
#include <utility>

#include "base/status.h"

namespace keyhold {

class SocketAddress {
 public:
  // `path` is DIRECTORY/NAME. kIo: the directory cannot be opened.
  static StatusOr<SocketAddress> Of(const std::string& path);

  SocketAddress(SocketAddress&& other) noexcept
      : directory_(std::exchange(other.directory_, -1)), text_(std::move(other.text_)) {}
  SocketAddress& operator=(SocketAddress&& other) noexcept {
    std::swap(directory_, other.directory_);
    std::swap(text_, other.text_);
    return *this;
  }
  ~SocketAddress();

  // What bind(2) and connect(2) take, while this lives.
  const std::string& text() const { return text_; }

 private:
  SocketAddress(int directory, std::string text) : directory_(directory), text_(std::move(text)) {}

  int directory_;
  std::string text_;
};

}  // namespace keyhold
