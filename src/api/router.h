// Which handler a request belongs to: one table for everything that the server answers.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "api/request.h"
#include "api/services.h"

namespace keyhold::api {

// Who may call.
enum class Access { kOpen, kApiKey, kAgent };

using Handler = StatusOr<Reply> (*)(Services&, const Request&);

struct Route {
  std::string_view method;
  std::string_view pattern;  // "/api/v1/clusters/{cluster_id}": a {name} stands for one segment
  Access access = Access::kApiKey;
  Handler handler = nullptr;  // null: an operation of the Cloud API that is not built
};

// Every operation of the Cloud API that Keyhold knows of, the agent API, and the rest.
std::span<const Route> Routes();

struct Match {
  const Route* route = nullptr;
  std::map<std::string, std::string> path;  // decoded
  bool other_method = false;                // no route, but the path has one for another method
};

// `target` is the request's, as it came: percent-encoded, perhaps with a query. A pattern without names wins
// over one with.
Match FindRoute(std::string_view method, std::string_view target);

// Percent-decoding, RFC 3986 section 2.1. What is no escape stays as it is.
std::string Decode(std::string_view text);

}  // namespace keyhold::api
