// The Cloud API (docs/api.md) over HTTP: one call in, its JSON or the server's error out.
//
// A client is for one thread; each call may take up to two minutes. Whatever answers, it takes bounded
// memory.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "base/status.h"
#include "cli/http.h"

namespace keyhold::cli {

using Pause = std::function<void(absl::Duration)>;

struct Endpoint {
  std::string server;   // "http://127.0.0.1:8080", "https://cloud.example.com"
  std::string api_key;  // sent as the bearer token
};

// kInvalidArgument (a UsageError) unless `server` is https://HOST[:PORT], or http:// with a loopback host:
// over plain HTTP the API key would be there for all to read.
Status CheckServer(const std::string& server);

// The JSON object of an answer of `server`, or the error that it is; errors as of ApiClient.
StatusOr<nlohmann::json> ReadAnswer(const std::string& server, const HttpAnswer& answer);

class ApiClient {
 public:
  // `endpoint.server` has passed CheckServer(). `pause` sleeps: a server that is asked too often (429) is
  // asked again when it says so, some times.
  ApiClient(Endpoint endpoint, Pause pause) : endpoint_(std::move(endpoint)), pause_(std::move(pause)) {}

  const std::string& server() const { return endpoint_.server; }

  // `path` starts with "/" and comes below /api/v1; its query is part of it. The error of a refused call has
  // the server's message and the Cause that the server named. kUnavailable: no server there. kCorrupt: what
  // answers is not the Cloud API.
  StatusOr<nlohmann::json> Get(const std::string& path) const;
  StatusOr<nlohmann::json> Send(const std::string& method, const std::string& path,
                                const nlohmann::json& body) const;
  StatusOr<nlohmann::json> Delete(const std::string& path) const;

  // The array `field` of all pages of the list at `path`.
  StatusOr<nlohmann::json> List(const std::string& path, const char* field) const;

  // A file outside /api/v1, without the API key.
  StatusOr<std::string> Download(const std::string& path) const;

 private:
  Endpoint endpoint_;
  Pause pause_;
};

}  // namespace keyhold::cli
