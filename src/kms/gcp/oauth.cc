#include "kms/gcp/oauth.h"

#include <algorithm>
#include <array>

#include "absl/strings/escaping.h"
#include "base/text.h"
#include "kms/gcp/names.h"
#include "kms/secret_json.h"
#include "kms/text.h"

namespace keyhold::kms::gcp {
namespace {

constexpr std::array<std::string_view, 3> kTokenUris = {"https://oauth2.googleapis.com/token",
                                                        "https://accounts.google.com/o/oauth2/token",
                                                        "https://www.googleapis.com/oauth2/v4/token"};
constexpr std::string_view kStsUri = "https://sts.googleapis.com/v1/token";
constexpr std::string_view kImpersonationPrefix =
    "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/";
constexpr std::string_view kImpersonationSuffix = ":generateAccessToken";
constexpr absl::Duration kAssertionLife = absl::Hours(1);  // the longest that Google takes
constexpr int64_t kMaxTokenSeconds = 86400;

Status Bad(std::string_view what) {
  return Error(Cause::kKmsBadCredentials, StrCat({"the Google credentials file ", what}));
}

// Any longer text of a credentials file is not what it says to be.
StatusOr<std::string> Text(const SecretJson& file, const char* name) {
  const auto text = StringOf(file, name);
  if (!text.ok() || text->empty()) return Bad(StrCat({"has no \"", name, "\""}));
  if (text->size() > 2048) return Bad(StrCat({"has too long a \"", name, "\""}));
  return std::string(*text);
}

StatusOr<SecretJson> ParseFile(crypto::Bytes json) {
  auto file = ParseSecretJson(json, "the file");
  if (!file.ok()) return Bad("is no JSON object");
  if (FieldText(*file, "universe_domain", "googleapis.com") != "googleapis.com") {
    return Bad("is for another universe than googleapis.com");
  }
  return file;
}

std::string Base64Url(std::string_view bytes) {
  return absl::WebSafeBase64Escape(absl::string_view(bytes.data(), bytes.size()));
}

Status NotUnderstood(std::string_view what) {
  return Error(Cause::kKmsCorrupt,
               StrCat({"Google's token service answered something that is not understood: ", what}));
}

StatusOr<AccessToken> Usable(std::string_view value, absl::Time expires) {
  if (value.empty() || !IsVisibleAscii(value)) return NotUnderstood("its token is no token");
  return AccessToken{crypto::SecretBytes::CopyOf(crypto::AsBytes(value)), expires};
}

StatusOr<std::string> ImpersonatedAccount(const SecretJson& file) {
  std::string_view url;
  if (!file.contains("service_account_impersonation_url")) return std::string();
  const auto text = StringOf(file, "service_account_impersonation_url");
  if (text.ok()) url = *text;
  if (!url.starts_with(kImpersonationPrefix) || !url.ends_with(kImpersonationSuffix)) {
    return Bad("has a service_account_impersonation_url that is not Google's");
  }
  url.remove_prefix(kImpersonationPrefix.size());
  url.remove_suffix(std::min(url.size(), kImpersonationSuffix.size()));
  if (!CheckServiceAccount(url).ok()) return Bad("impersonates something that is no service account");
  return std::string(url);
}

Status ReadSource(const SecretJson& file, FederatedAccount& account) {
  const auto source = file.find("credential_source");
  if (source == file.end() || !source->is_object()) return Bad("has no \"credential_source\"");
  if (!source->contains("file")) {
    return Error(Cause::kUnimplemented,
                 "of workload identity federation, only credential_source.file is supported; let the "
                 "platform write its token to a file");
  }
  KEYHOLD_ASSIGN_OR_RETURN(account.token_file, Text(*source, "file"));
  const auto format = source->find("format");
  if (format == source->end() || !format->is_object() || FieldText(*format, "type", "text") != "json") {
    return OkStatus();
  }
  KEYHOLD_ASSIGN_OR_RETURN(account.json_field, Text(*format, "subject_token_field_name"));
  return OkStatus();
}

}  // namespace

StatusOr<ServiceAccountKey> ParseServiceAccountKey(crypto::Bytes json) {
  KEYHOLD_ASSIGN_OR_RETURN(const SecretJson file, ParseFile(json));
  KEYHOLD_ASSIGN_OR_RETURN(std::string email, Text(file, "client_email"));
  KEYHOLD_ASSIGN_OR_RETURN(std::string key_id, Text(file, "private_key_id"));
  const std::string token_uri = FieldText(file, "token_uri", kTokenUris[0]);
  if (std::find(kTokenUris.begin(), kTokenUris.end(), token_uri) == kTokenUris.end()) {
    return Bad(StrCat({"has a token_uri that is not Google's: ", Quoted(token_uri)}));
  }
  if (!CheckServiceAccount(email).ok()) return Bad("has a client_email that is no service account's");
  const auto pem = StringOf(file, "private_key");
  if (!pem.ok()) return Bad("has no \"private_key\"");
  auto key = crypto::RsaPrivateKey::FromPem(crypto::AsBytes(*pem));
  if (!key.ok()) return Bad(StrCat({"has a private_key that is ", std::string(key.status().message())}));
  return ServiceAccountKey{std::move(email), std::move(key_id), token_uri, *std::move(key)};
}

std::string SignAssertion(const ServiceAccountKey& key, std::string_view scope, absl::Time now) {
  const nlohmann::json header = {{"alg", "RS256"}, {"typ", "JWT"}, {"kid", key.key_id}};
  const nlohmann::json claims = {{"iss", key.email},
                                 {"scope", std::string(scope)},
                                 {"aud", key.token_uri},
                                 {"iat", absl::ToUnixSeconds(now)},
                                 {"exp", absl::ToUnixSeconds(now + kAssertionLife)}};
  const auto replace = nlohmann::json::error_handler_t::replace;
  const std::string text = StrCat({Base64Url(header.dump(-1, ' ', false, replace)), ".",
                                   Base64Url(claims.dump(-1, ' ', false, replace))});
  return StrCat({text, ".", Base64Url(key.private_key.Sign(crypto::AsBytes(text)))});
}

StatusOr<FederatedAccount> ParseFederatedAccount(crypto::Bytes json) {
  KEYHOLD_ASSIGN_OR_RETURN(const SecretJson file, ParseFile(json));
  FederatedAccount account;
  KEYHOLD_ASSIGN_OR_RETURN(account.audience, Text(file, "audience"));
  KEYHOLD_ASSIGN_OR_RETURN(account.subject_token_type, Text(file, "subject_token_type"));
  if (FieldText(file, "token_url", kStsUri) != kStsUri) return Bad("has a token_url that is not Google's");
  KEYHOLD_ASSIGN_OR_RETURN(account.service_account, ImpersonatedAccount(file));
  KEYHOLD_RETURN_IF_ERROR(ReadSource(file, account));
  return account;
}

StatusOr<AccessToken> ParseTokenAnswer(const HttpResponse& answer, absl::Time now) {
  KEYHOLD_ASSIGN_OR_RETURN(const SecretJson body,
                           ParseSecretJson(answer.body.Expose(), "Google's token service"));
  const auto value = StringOf(body, "access_token");
  const auto seconds = body.find("expires_in");
  if (!value.ok()) return NotUnderstood("it has no access_token");
  if (seconds == body.end() || !seconds->is_number_integer() || seconds->get<int64_t>() <= 0 ||
      seconds->get<int64_t>() > kMaxTokenSeconds) {
    return NotUnderstood("its token has no end");
  }
  return Usable(*value, now + absl::Seconds(seconds->get<int64_t>()));
}

StatusOr<AccessToken> ParseGeneratedToken(const HttpResponse& answer) {
  KEYHOLD_ASSIGN_OR_RETURN(const SecretJson body,
                           ParseSecretJson(answer.body.Expose(), "Google's token service"));
  const auto value = StringOf(body, "accessToken");
  absl::Time expires;
  if (!value.ok()) return NotUnderstood("it has no accessToken");
  if (!absl::ParseTime(absl::RFC3339_full, FieldText(body, "expireTime", ""), &expires, nullptr)) {
    return NotUnderstood("its token has no end");
  }
  return Usable(*value, expires);
}

}  // namespace keyhold::kms::gcp
