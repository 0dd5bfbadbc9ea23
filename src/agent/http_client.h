// HTTP for the agent: to the server over TCP, to nodes over their Unix sockets.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/time/time.h"
#include "base/status.h"

namespace keyhold::agent {

struct HttpCall {
  std::string method;
  std::string path;  // with query, percent-encoded
  std::string body;  // JSON; empty: none
  absl::Duration timeout = absl::Seconds(10);
  std::string bearer;  // empty: none
};

// `value` as a call's body; text that is not UTF-8 is replaced.
std::string BodyOf(const nlohmann::json& value);

// One peer, one connection kept open. Not thread-safe but for Abort(): one per thread.
class HttpClient {
 public:
  // `base` is "http://127.0.0.1:8080".
  static std::unique_ptr<HttpClient> ForUrl(const std::string& base);
  // `socket_path` may be longer than a sockaddr_un.
  static std::unique_ptr<HttpClient> ForSocket(const std::string& socket_path);
  virtual ~HttpClient() = default;

  // The JSON of a 2xx answer. Another answer is its body's "reason" or "cause" and "message" as a status; no
  // answer is kUnavailable, one that is no JSON or larger than 4 MiB kCorrupt.
  virtual StatusOr<nlohmann::json> Send(const HttpCall& call) = 0;

  // Ends the call under way, and all to come, with kUnavailable, at once. From any thread.
  virtual void Abort() = 0;
};

}  // namespace keyhold::agent
