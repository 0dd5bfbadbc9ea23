// DIR/env.sh: what a shell sources to use everything that runs, with no further options.
#pragma once

#include <map>
#include <string>

#include "base/status.h"

namespace keyhold::app {

struct EnvFacts {
  std::string dir;         // DIR, absolute
  std::string api;         // "127.0.0.1:8080"
  std::string localcloud;  // "127.0.0.1:8443"
  std::string bin_dir;     // where keyhold and ccloud are; put in front of PATH
};

// Reads what local cloud and server left below DIR (customer.json, principals.json, api-key) and makes the
// text. It has secrets: the customer's and the API key. kNotFound, kCorrupt: a file is missing or damaged.
StatusOr<std::string> EnvText(const EnvFacts& facts);

// "127.0.0.1" for a wildcard address, which nobody can connect to; `address` otherwise.
std::string Reachable(const std::string& address);

// What a node needs to reach the local cloud as the platform's principals: no secret, only files with them.
// kNotFound, kCorrupt.
StatusOr<std::map<std::string, std::string>> PlatformEnvironment(const EnvFacts& facts);

// Who customers grant access to, in each cloud.
struct PlatformPrincipals {
  std::string aws_arn;
  std::string gcp_service_account;  // an e-mail address
  std::string azure_client_id;  // of the application whose service principal is KEYHOLD_AZURE_PRINCIPAL_ID
};

// kNotFound, kCorrupt.
StatusOr<PlatformPrincipals> ReadPlatformPrincipals(const std::string& dir);

}  // namespace keyhold::app
