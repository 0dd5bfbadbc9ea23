// The gateway's certificate: signed by an authority of the node's own, whose certificate clients verify it
// with.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/status.h"

namespace keyhold::node {

struct Certificate {
  std::string ca_pem;
  std::string certificate_pem;
  std::string certificate_path;
  std::string key_path;
};

// What is in `dir` (made, 0700, where it is missing): ca.pem, ca-key.pem (0600), cert.pem and key.pem (0600).
// Made at the first call; cert.pem is made anew when it ends within 30 days, does not fit key.pem, or is
// another authority's. The authority's key is kept to do that: clients hold its certificate. ECDSA P-256;
// names: localhost, 127.0.0.1, ::1 and the host's own. kCorrupt: the authority is damaged, and left as it is;
// kIo.
StatusOr<Certificate> EnsureCertificate(const std::string& dir, const Clock& clock);

}  // namespace keyhold::node
