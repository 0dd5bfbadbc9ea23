// The head of a CONNECT request, RFC 9110 section 9.3.6 and RFC 9112 section 3.2.3. Pure parsing.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace keyhold::localcloud {

struct ConnectTarget {
  std::string host;  // lower case
  int port = 0;
};

// The target of a CONNECT request whose head (request line and fields) is `head`.
// kUnimplemented: well formed, and another method. kInvalidArgument: not HTTP/1.x, or not HOST:PORT with a
// host of letters, digits, dots and hyphens and a port of 1 to 65535.
StatusOr<ConnectTarget> ParseConnect(std::string_view head);

}  // namespace keyhold::localcloud
