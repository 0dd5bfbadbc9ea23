#include "control/scram.h"

#include <algorithm>
#include <array>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "crypto/hash.h"

namespace keyhold::control {
namespace {

std::string Base64(crypto::Bytes bytes) {
  const std::string_view text = crypto::AsText(bytes);
  return absl::Base64Escape(absl::string_view(text.data(), text.size()));
}

}  // namespace

Status CheckPassword(std::string_view password) {
  if (password.size() < kMinPasswordSize || password.size() > kMaxPasswordSize) {
    return Error(Cause::kInvalidArgument, absl::StrCat("a SQL user's password must have ", kMinPasswordSize,
                                                       " to ", kMaxPasswordSize, " characters"));
  }
  if (!std::all_of(password.begin(), password.end(), [](char c) { return c >= ' ' && c <= '~'; })) {
    return Error(Cause::kInvalidArgument, "a SQL user's password must be of printable ASCII characters");
  }
  return OkStatus();
}

std::string ScramVerifier(std::string_view password, crypto::Random& random) {
  std::array<uint8_t, kScramSaltSize> salt;
  random.Fill(salt);
  const crypto::SecretBytes salted = crypto::Pbkdf2(crypto::AsBytes(password), salt, kScramIterations);
  crypto::Sha256Digest client_key = crypto::HmacSha256(salted.Expose(), crypto::AsBytes("Client Key"));
  const crypto::Sha256Digest stored_key = crypto::Sha256(client_key);
  crypto::Wipe(client_key);
  const crypto::Sha256Digest server_key = crypto::HmacSha256(salted.Expose(), crypto::AsBytes("Server Key"));
  return absl::StrCat("SCRAM-SHA-256$", kScramIterations, ":", Base64(salt), "$", Base64(stored_key), ":",
                      Base64(server_key));
}

}  // namespace keyhold::control
