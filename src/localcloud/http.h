// What a front end of the local cloud sees of HTTP: one request in, one response out, after TLS and before
// any cloud's protocol. Plain values; nothing here knows a socket or an HTTP library.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"

namespace keyhold::localcloud {

// Names in lower case, in the order of arrival; a name may come more than once.
using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method;
  std::string target;  // as sent: path and query, still percent-encoded
  std::string host;    // the name that the client connected to, in lower case, without port
  std::string source_address;
  HttpHeaders headers;
  std::string body;

  // The first value of `name` (lower case), or null. Valid as long as the request is.
  const std::string* Header(std::string_view name) const;
};

// How much of a response reaches the client; what is less than all is a fault that was ordered (fault.h).
enum class Delivery {
  kWhole,
  kNone,   // closed without a byte
  kHang,   // not a byte, until the client goes away
  kCut,    // closed after half of the body
  kStall,  // half of the body, until the client goes away
};

struct HttpResponse {
  int status = 200;
  std::string content_type;
  HttpHeaders headers;
  std::string body;
  absl::Duration delay = absl::ZeroDuration();  // before anything of it is sent
  Delivery delivery = Delivery::kWhole;
};

// Called by many threads at once.
using HttpHandler = std::function<HttpResponse(const HttpRequest&)>;

// The largest body that is read. The largest request of the services here is a few hundred KB.
inline constexpr size_t kMaxBodySize = 4 << 20;

}  // namespace keyhold::localcloud
