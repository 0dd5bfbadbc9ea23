// A gateway with nothing behind it but a PostgreSQL that is there already: what the gateway alone costs.
//   gateway_alone UPSTREAM_SOCKET CERTIFICATE KEY PORT
// Prints "ready", and ends when its standard input does.
#include <cstdio>
#include <cstdlib>

#include "crypto/secret.h"
#include "gateway/gateway.h"

int main(int argc, char** argv) {
  if (argc != 5 || !keyhold::crypto::InitSecretMemory().ok()) return 2;
  keyhold::gateway::GatewayOptions options;
  options.upstream_socket = argv[1];
  options.certificate_path = argv[2];
  options.key_path = argv[3];
  options.listen = std::string("127.0.0.1:") + argv[4];
  options.allowlist = {"127.0.0.0/8"};
  options.cluster_settings["enterprise.encryption.type"] = [] { return std::string("AES-256-GCM"); };
  const auto gateway = keyhold::gateway::Gateway::Start(options);
  if (!gateway.ok()) {
    std::fprintf(stderr, "%s\n", std::string(gateway.status().message()).c_str());
    return 1;
  }
  (*gateway)->Unlock();
  std::puts("ready");
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  return 0;
}
