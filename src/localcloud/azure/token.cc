#include "localcloud/azure/token.h"

#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "crypto/hash.h"
#include "localcloud/azure/rsa.h"

namespace keyhold::localcloud::azure {
namespace {

constexpr char kSetting[] = "signing_key";
constexpr char kLabel[] = "keyhold localcloud azure signing key";
constexpr size_t kMaxToken = 16 << 10;

StatusOr<RsaKey> SigningKey(AzureStore& store) {
  KEYHOLD_ASSIGN_OR_RETURN(const crypto::SecretBytes der, store.hsm().Open(kLabel, store.Setting(kSetting)));
  return RsaKey::FromDer(der.Expose());
}

std::string KeyId(const RsaKey& key) {
  return Base64Url(crypto::Sha256(crypto::AsBytes(key.Modulus()))).substr(0, 27);
}

std::string Part(const Json& object) { return Base64Url(crypto::AsBytes(object.dump())); }

std::string Issuer(const std::string& tenant) {
  return absl::StrCat("https://sts.windows.net/", tenant, "/");
}

Status Refused(std::string_view why) { return Error(Cause::kUnauthenticated, why); }

// The claims of a token whose signature verifies.
StatusOr<Json> ClaimsOf(AzureStore& store, const std::string& token) {
  const std::vector<std::string> parts = absl::StrSplit(token, '.');
  if (token.size() > kMaxToken || parts.size() != 3) {
    return Refused("AKV10001: Unable to parse JWT token.");
  }
  const auto signature = FromBase64Url(parts[2]);
  const auto payload = FromBase64Url(parts[1]);
  if (!signature.ok() || !payload.ok()) return Refused("AKV10001: Unable to parse JWT token.");
  KEYHOLD_ASSIGN_OR_RETURN(const RsaKey key, SigningKey(store));
  if (!VerifySignature(key, absl::StrCat(parts[0], ".", parts[1]), crypto::AsBytes(*signature)).ok()) {
    return Refused("AKV10014: Invalid signature.");
  }
  return ParseJson(*payload);
}

}  // namespace

std::string Caller::Description() const {
  return absl::StrCat("appid=", client_id, ";oid=", object_id, ";iss=", Issuer(tenant));
}

Status MakeSigningKey(AzureStore& store) {
  if (!store.Setting(kSetting).empty()) return OkStatus();
  KEYHOLD_ASSIGN_OR_RETURN(const RsaKey key, RsaKey::Generate(2048));
  store.PutSetting(kSetting, store.hsm().Seal(kLabel, key.ToDer().Expose()));
  return OkStatus();
}

StatusOr<std::string> IssueToken(AzureStore& store, const App& app, const std::string& audience,
                                 absl::Time now) {
  KEYHOLD_ASSIGN_OR_RETURN(const RsaKey key, SigningKey(store));
  const std::string tenant = store.Setting("tenant_id");
  const int64_t from = absl::ToUnixSeconds(now);
  const std::string text = absl::StrCat(Part({{"typ", "JWT"}, {"alg", "RS256"}, {"kid", KeyId(key)}}), ".",
                                        Part({{"aud", audience},
                                              {"iss", Issuer(tenant)},
                                              {"iat", from},
                                              {"nbf", from},
                                              {"exp", from + absl::ToInt64Seconds(kTokenLifetime)},
                                              {"appid", app.client_id},
                                              {"appidacr", app.certificate_pem.empty() ? "1" : "2"},
                                              {"idtyp", "app"},
                                              {"oid", app.object_id},
                                              {"sub", app.object_id},
                                              {"tid", tenant},
                                              {"ver", "1.0"}}));
  return absl::StrCat(text, ".", Base64Url(crypto::AsBytes(key.Sign(text))));
}

StatusOr<Caller> VerifyToken(AzureStore& store, const std::string* authorization, const std::string& audience,
                             absl::Time now) {
  constexpr absl::string_view kBearer = "Bearer ";
  if (authorization == nullptr || !absl::StartsWithIgnoreCase(*authorization, kBearer)) {
    return Refused("AKV10000: Request is missing a Bearer or PoP token.");
  }
  KEYHOLD_ASSIGN_OR_RETURN(const Json claims, ClaimsOf(store, authorization->substr(kBearer.size())));
  const int64_t seconds = absl::ToUnixSeconds(now);
  if (claims["exp"].get<int64_t>() <= seconds || claims["nbf"].get<int64_t>() > seconds + 300) {
    return Refused("AKV10009: Bearer token is expired or not yet valid.");
  }
  std::string aud = claims["aud"].get<std::string>();
  while (!aud.empty() && aud.back() == '/') aud.pop_back();
  if (aud != audience) {
    return Refused(absl::StrCat("AKV10022: Invalid audience. Expected ", audience, ", found: ", aud, "."));
  }
  const auto app = store.FindApp(claims["appid"].get<std::string>());
  if (!app) return Refused("AKV10003: The application of the token is not there any more.");
  return Caller{app->client_id, app->object_id, claims["tid"].get<std::string>(), app->owner};
}

StatusOr<Json> KeySet(AzureStore& store) {
  KEYHOLD_ASSIGN_OR_RETURN(const RsaKey key, SigningKey(store));
  return Json{{"keys",
               {{{"kty", "RSA"},
                 {"use", "sig"},
                 {"alg", "RS256"},
                 {"kid", KeyId(key)},
                 {"n", Base64Url(crypto::AsBytes(key.Modulus()))},
                 {"e", Base64Url(crypto::AsBytes(key.Exponent()))}}}}};
}

}  // namespace keyhold::localcloud::azure
