#include "localcloud/gcp/token.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "crypto/rsa.h"
#include "localcloud/gcp/error.h"
#include "localcloud/gcp/fields.h"

namespace keyhold::localcloud::gcp {
namespace {

constexpr char kPrefix[] = "ya29.";
constexpr char kLabel[] = "keyhold localcloud gcp access token";
constexpr char kCloudScope[] = "https://www.googleapis.com/auth/cloud-platform";
constexpr char kAudience[] = "https://oauth2.googleapis.com/token";
constexpr absl::Duration kSkew = absl::Minutes(5);
constexpr size_t kMaxToken = 16 << 10;

Status BadToken(std::string_view reason) {
  return GcpError(
      "UNAUTHENTICATED",
      "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or "
      "other valid authentication credential. See "
      "https://developers.google.com/identity/sign-in/web/devconsole-project.",
      ErrorInfo(reason, "googleapis.com", {{"service", "cloudkms.googleapis.com"}}));
}

Status BadAssertion(std::string_view description) { return Error(Cause::kUnauthenticated, description); }

StatusOr<Json> DecodePart(absl::string_view part) {
  std::string text;
  if (!absl::WebSafeBase64Unescape(part, &text)) return Error(Cause::kInvalidArgument, "not base64url");
  KEYHOLD_ASSIGN_OR_RETURN(Json json, ParseJson(text));
  if (!json.is_object()) return Error(Cause::kInvalidArgument, "not an object");
  return json;
}

absl::Time ClaimTime(const Json& claims, const char* name, absl::Time otherwise) {
  const auto found = claims.find(name);
  return found != claims.end() && found->is_number_integer() ? absl::FromUnixSeconds(found->get<int64_t>())
                                                             : otherwise;
}

Status CheckTimes(const Json& claims, absl::Time now) {
  const absl::Time issued = ClaimTime(claims, "iat", absl::InfiniteFuture());
  const absl::Time expires = ClaimTime(claims, "exp", absl::InfinitePast());
  if (issued <= now + kSkew && expires > now - kSkew && expires - issued <= absl::Hours(1)) return OkStatus();
  return BadAssertion(
      "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your "
      "iat and exp values in the JWT claim.");
}

// The account that signed it, when a key of its own did.
StatusOr<ServiceAccount> SignerOf(Store& store, const Json& header, const Json& claims,
                                  absl::string_view signed_text, const std::string& signature) {
  const std::string issuer = TextOf(claims, "iss");
  auto account = store.FindAccount(issuer);
  if (!account) return BadAssertion("Invalid grant: account not found");
  KEYHOLD_ASSIGN_OR_RETURN(const auto key, store.FindAccountKey(TextOf(header, "kid")));
  const std::string_view text(signed_text.data(), signed_text.size());
  if (TextOf(header, "alg") != "RS256" || !key || key->email != issuer ||
      !crypto::VerifyRs256(key->public_pem, crypto::AsBytes(text), crypto::AsBytes(signature)).ok()) {
    return BadAssertion("Invalid JWT Signature.");
  }
  if (account->disabled) return BadAssertion("Invalid grant: account has been disabled");
  return *std::move(account);
}

struct Signed {
  Json claims;
  ServiceAccount account;
};

// A JSON Web Token by a key of an account here; neither audience nor times are looked at.
StatusOr<Signed> OpenJwt(Store& store, std::string_view jwt) {
  const absl::string_view text(jwt.data(), jwt.size());
  const std::vector<absl::string_view> parts = absl::StrSplit(text, '.');
  std::string signature;
  if (jwt.size() > kMaxToken || parts.size() != 3 || !absl::WebSafeBase64Unescape(parts[2], &signature)) {
    return BadAssertion("Bad Request");
  }
  const auto header = DecodePart(parts[0]);
  auto claims = DecodePart(parts[1]);
  if (!header.ok() || !claims.ok()) return BadAssertion("Bad Request");
  KEYHOLD_ASSIGN_OR_RETURN(
      ServiceAccount account,
      SignerOf(store, *header, *claims, text.substr(0, parts[0].size() + 1 + parts[1].size()), signature));
  return Signed{*std::move(claims), std::move(account)};
}

std::vector<std::string> ScopesOf(const Json& claims) {
  return absl::StrSplit(TextOf(claims, "scope"), ' ', absl::SkipEmpty());
}

}  // namespace

bool TokenClaims::HasScope(std::initializer_list<std::string_view> accepted) const {
  return std::any_of(scopes.begin(), scopes.end(), [&](const std::string& scope) {
    return scope == kCloudScope || std::find(accepted.begin(), accepted.end(), scope) != accepted.end();
  });
}

std::string MakeToken(const Vault& vault, const TokenClaims& claims) {
  const Json content = {
      {"email", claims.email}, {"scopes", claims.scopes}, {"expires", absl::ToUnixSeconds(claims.expires)}};
  return kPrefix + vault.Seal(kLabel, crypto::AsBytes(content.dump()));
}

StatusOr<TokenClaims> OpenToken(const Vault& vault, std::string_view token, absl::Time now) {
  if (!token.starts_with(kPrefix) || token.size() > kMaxToken)
    return BadToken("ACCESS_TOKEN_TYPE_UNSUPPORTED");
  const auto opened = vault.Open(kLabel, token.substr(sizeof kPrefix - 1));
  if (!opened.ok()) return BadToken("ACCESS_TOKEN_TYPE_UNSUPPORTED");
  const Json content = Json::parse(opened->ExposeText());
  TokenClaims claims{content.at("email"), content.at("scopes"),
                     absl::FromUnixSeconds(content.at("expires").get<int64_t>())};
  if (claims.expires <= now) return BadToken("ACCESS_TOKEN_EXPIRED");
  return claims;
}

StatusOr<TokenClaims> OpenAssertion(Store& store, std::string_view jwt, absl::Time now) {
  KEYHOLD_ASSIGN_OR_RETURN(const Signed opened, OpenJwt(store, jwt));
  if (TextOf(opened.claims, "aud") != kAudience) return BadAssertion("Invalid JWT: Failed audience check.");
  KEYHOLD_RETURN_IF_ERROR(CheckTimes(opened.claims, now));
  const std::string subject = TextOf(opened.claims, "sub");
  if (!subject.empty() && subject != opened.account.email) {
    return BadAssertion("Client is unauthorized to retrieve access tokens using this method");
  }
  TokenClaims out{opened.account.email, ScopesOf(opened.claims), now + kTokenLife};
  if (out.scopes.empty()) return BadAssertion("Invalid OAuth scope or ID token audience provided.");
  return out;
}

bool IsJwt(std::string_view token) {
  return token.starts_with("eyJ") && std::count(token.begin(), token.end(), '.') == 2;
}

StatusOr<TokenClaims> OpenSelfSignedToken(Store& store, std::string_view jwt, std::string_view host,
                                          absl::Time now) {
  const auto opened = OpenJwt(store, jwt);
  if (!opened.ok() || TextOf(opened->claims, "sub") != opened->account.email) {
    return BadToken("ACCESS_TOKEN_TYPE_UNSUPPORTED");
  }
  if (!CheckTimes(opened->claims, now).ok()) return BadToken("ACCESS_TOKEN_EXPIRED");
  TokenClaims out{opened->account.email, ScopesOf(opened->claims), now + kTokenLife};
  // Without scopes it is for one service, and all of that.
  const std::string audience = TextOf(opened->claims, "aud");
  const std::string wanted = absl::StrCat("https://", std::string(host), "/");
  if (out.scopes.empty() && audience == wanted) out.scopes.emplace_back(kCloudScope);
  if (out.scopes.empty()) return BadToken("ACCESS_TOKEN_TYPE_UNSUPPORTED");
  return out;
}

}  // namespace keyhold::localcloud::gcp
