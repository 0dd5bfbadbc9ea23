// An HTTPS client as the local cloud's callers have one: through its proxy, under the real host name, with
// its CA.
#pragma once

#include <httplib.h>

#include <cstdint>
#include <memory>
#include <string>

namespace keyhold::localcloud {

inline std::unique_ptr<httplib::SSLClient> ProxiedClient(const std::string& host, uint16_t port,
                                                         const std::string& ca_file) {
  auto client = std::make_unique<httplib::SSLClient>(host);
  client->set_tcp_nodelay(true);
  client->set_proxy("127.0.0.1", port);
  client->set_ca_cert_path(ca_file.c_str());
  client->enable_server_certificate_verification(true);
  return client;
}

}  // namespace keyhold::localcloud
