// A client of the local cloud's Google services, as any other: through its proxy, with its CA and a token.
#pragma once

#include <functional>
#include <string>

#include "tests/localcloud/test_cloud.h"

namespace keyhold::localcloud::gcp {

struct GcpAnswer {
  int status = 0;  // 0: no answer
  std::string text;
  Json body;
  std::string code, message;  // of an error
};

class GcpClient {
 public:
  GcpClient(TestCloud& cloud, std::string token)
      : port_(cloud.cloud().port()), ca_file_(cloud.File("ca.pem")), token_(std::move(token)) {}

  // With a token for the account of a key file below the cloud's directory.
  static GcpClient WithKeyFile(TestCloud& cloud, const std::string& file);

  // A token that the account of `key_file` signs, after `change` to its parts.
  static std::string Sign(TestCloud& cloud, const Json& key_file,
                          const std::function<void(Json& header, Json& claims)>& change);

  // What the token service answers to an assertion of `key_file`'s account, after `change` to its parts.
  static GcpAnswer Token(TestCloud& cloud, const Json& key_file,
                         const std::function<void(Json& header, Json& claims)>& change);

  // `path` is what follows "/v1/".
  GcpAnswer Get(const std::string& host, const std::string& path) const {
    return Send("GET", host, path, "");
  }
  GcpAnswer Post(const std::string& host, const std::string& path, const Json& body) const {
    return Send("POST", host, path, body.dump());
  }
  GcpAnswer Patch(const std::string& host, const std::string& path, const Json& body) const {
    return Send("PATCH", host, path, body.dump());
  }
  GcpAnswer Send(const std::string& method, const std::string& host, const std::string& path,
                 const std::string& body) const;

 private:
  GcpAnswer SendRaw(const std::string& method, const std::string& host, const std::string& target,
                    const std::string& body, const std::string& type) const;

  const uint16_t port_;
  const std::string ca_file_;
  const std::string token_;
};

}  // namespace keyhold::localcloud::gcp
