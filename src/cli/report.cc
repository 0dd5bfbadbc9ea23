#include "cli/report.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "cli/config.h"
#include "crypto/rsa.h"

namespace keyhold::cli {
namespace {

constexpr int kKeyBits = 3072;
constexpr char kPrivate[] = "report-key.pem";
constexpr char kPublic[] = "report-key.pub.pem";

StatusOr<crypto::RsaPrivateKey> NewKey(const std::string& dir) {
  KEYHOLD_ASSIGN_OR_RETURN(crypto::RsaPrivateKey key, crypto::RsaPrivateKey::Generate(kKeyBits));
  const crypto::SecretBytes pem = key.ToPem();
  KEYHOLD_RETURN_IF_ERROR(KeepFile(dir, kPrivate, std::string(pem.ExposeText()), 0600).status());
  return key;
}

StatusOr<crypto::RsaPrivateKey> KeyOf(const std::string& dir) {
  std::ifstream file(absl::StrCat(dir, "/", kPrivate));
  if (!file) return NewKey(dir);
  std::stringstream text;
  text << file.rdbuf();
  auto key = crypto::RsaPrivateKey::FromPem(crypto::AsBytes(text.str()));
  if (key.ok()) return key;
  return Error(Cause::kCorrupt,
               absl::StrCat(dir, "/", kPrivate, " is damaged; take it away, and a new key is made: ",
                            std::string(key.status().message())));
}

}  // namespace

StatusOr<SignedReport> KeepSigned(const std::string& config_dir, const std::string& name,
                                  const nlohmann::json& report) {
  KEYHOLD_RETURN_IF_ERROR(crypto::InitSecretMemory());
  KEYHOLD_ASSIGN_OR_RETURN(const crypto::RsaPrivateKey key, KeyOf(config_dir));
  const std::string text = report.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  const std::string dir = config_dir + "/reports";
  SignedReport kept;
  KEYHOLD_ASSIGN_OR_RETURN(kept.public_key, KeepFile(config_dir, kPublic, key.PublicPem(), 0644));
  KEYHOLD_ASSIGN_OR_RETURN(kept.path, KeepFile(dir, name + ".json", text, 0644));
  KEYHOLD_ASSIGN_OR_RETURN(kept.signature,
                           KeepFile(dir, name + ".json.sig", key.Sign(crypto::AsBytes(text)), 0644));
  return kept;
}

std::string VerifyCommand(const SignedReport& report) {
  return absl::StrCat("openssl dgst -sha256 -verify ", report.public_key, " -signature ", report.signature,
                      " ", report.path);
}

}  // namespace keyhold::cli
