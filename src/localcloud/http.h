// What a front end of the local cloud sees of HTTP: one request in, one response out, after TLS and before
// any cloud's protocol. Plain values; nothing here knows a socket or an HTTP library.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

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

struct HttpResponse {
  int status = 200;
  std::string content_type;
  HttpHeaders headers;
  std::string body;
};

// Called by many threads at once.
using HttpHandler = std::function<HttpResponse(const HttpRequest&)>;

// The largest body that is read. The largest request of the services here is a few hundred KB.
inline constexpr size_t kMaxBodySize = 4 << 20;

}  // namespace keyhold::localcloud
