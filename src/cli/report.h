// Reports that ccloud keeps and signs: what was done, when, and what came of it.
//
// The signature is RS256 (crypto/rsa.h) by a key of this user, made when it is first needed and kept in
// ccloud's configuration directory (report-key.pem, 0600; report-key.pub.pem). It shows that a report is as
// this user's ccloud wrote it; it says nothing of who the user is.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/status.h"

namespace keyhold::cli {

struct SignedReport {
  std::string path;        // of the report, JSON
  std::string signature;   // PATH.sig, the raw signature
  std::string public_key;  // PEM
};

// Writes CONFIG_DIR/reports/NAME.json and its signature. kCorrupt: the key that is kept is none.
StatusOr<SignedReport> KeepSigned(const std::string& config_dir, const std::string& name,
                                  const nlohmann::json& report);

// The command that verifies it, for a shell.
std::string VerifyCommand(const SignedReport& report);

}  // namespace keyhold::cli
