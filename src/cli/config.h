// What `ccloud auth login` keeps, in ccloud's configuration directory (0700), as the vendor's ccloud does:
//   credentials.json  {"default": {"api_key"}} (0600)
//   profiles.json     {"default": {"server", "organizationId", "organizationLabel", "organizationName"}}
//   certs/ID.crt      the certificate that verifies cluster ID's SQL port
// Reports and the key that signs them are beside these (report.h).
#pragma once

#include <sys/types.h>

#include <string>

#include "base/status.h"
#include "cli/api_client.h"

namespace keyhold::cli {

struct Organization {
  std::string id;
  std::string label;
  std::string name;
};

// Empty fields when nobody is logged in. kCorrupt: a file is damaged.
StatusOr<Endpoint> ReadLogin(const std::string& config_dir);

// Replaces both files, each as a whole.
Status WriteLogin(const std::string& config_dir, const Endpoint& endpoint, const Organization& organization);

// False when nobody was logged in.
StatusOr<bool> RemoveLogin(const std::string& config_dir);

// Writes or replaces DIR/FILE as a whole; returns its absolute path.
StatusOr<std::string> KeepFile(const std::string& dir, const std::string& file, const std::string& content,
                               mode_t mode);

// Keeps a cluster's certificate; returns its path.
StatusOr<std::string> WriteCertificate(const std::string& dir, const std::string& file,
                                       const std::string& pem);

}  // namespace keyhold::cli
