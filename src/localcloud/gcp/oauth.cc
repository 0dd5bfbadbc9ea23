#include "localcloud/gcp/oauth.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_join.h"
#include "localcloud/gcp/url.h"

namespace keyhold::localcloud::gcp {
namespace {

constexpr char kJwtGrant[] = "urn:ietf:params:oauth:grant-type:jwt-bearer";

HttpResponse AnswerJson(int status, const Json& body) {
  HttpResponse response;
  response.status = status;
  response.content_type = kJsonType;
  response.headers = {{"Cache-Control", "no-store"}};
  response.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  return response;
}

HttpResponse Refuse(const char* error, const Status& why) {
  return AnswerJson(400, {{"error", error}, {"error_description", std::string(why.message())}});
}

std::string FormValue(const std::map<std::string, std::string>& form, const char* name) {
  const auto found = form.find(name);
  return found == form.end() ? std::string() : found->second;
}

HttpResponse Token(Store& store, const Vault& vault, const std::map<std::string, std::string>& form,
                   absl::Time now, AccessEntry& record, Status& outcome) {
  record.action = "Token";
  if (FormValue(form, "grant_type") != kJwtGrant) {
    outcome = Error(Cause::kInvalidArgument, "Invalid grant_type: " + FormValue(form, "grant_type"));
    return Refuse("unsupported_grant_type", outcome);
  }
  const auto claims = OpenAssertion(store, FormValue(form, "assertion"), now);
  outcome = claims.status();
  if (!claims.ok()) return Refuse("invalid_grant", claims.status());
  record.principal = record.key = claims->email;
  return AnswerJson(200, {{"access_token", MakeToken(vault, *claims)},
                          {"expires_in", absl::ToInt64Seconds(kTokenLife) - 1},
                          {"token_type", "Bearer"}});
}

HttpResponse TokenInfo(const Vault& vault, const std::map<std::string, std::string>& form, absl::Time now,
                       AccessEntry& record, Status& outcome) {
  record.action = "TokenInfo";
  const auto claims = OpenToken(vault, FormValue(form, "access_token"), now);
  outcome = claims.ok() ? OkStatus() : Error(Cause::kUnauthenticated, "Invalid Value");
  if (!claims.ok()) return Refuse("invalid_token", outcome);
  record.principal = record.key = claims->email;
  return AnswerJson(200, {{"email", claims->email},
                          {"email_verified", "true"},
                          {"scope", absl::StrJoin(claims->scopes, " ")},
                          {"expires_in", std::to_string(absl::ToInt64Seconds(claims->expires - now))}});
}

}  // namespace

HttpResponse ServeOauth(Store& store, const Vault& vault, const HttpRequest& request, absl::Time now,
                        AccessEntry& record, Status& outcome) {
  const Url url = ParseUrl(request.target);
  auto form = ParseQuery(request.body);
  form.insert(url.query.begin(), url.query.end());
  if (request.method == "POST" && url.path == "/token") {
    return Token(store, vault, form, now, record, outcome);
  }
  if (url.path == "/tokeninfo") return TokenInfo(vault, form, now, record, outcome);
  outcome = Error(Cause::kNotFound, "the token service of the local cloud has /token and /tokeninfo");
  return AnswerJson(404, {{"error", "not_found"}, {"error_description", std::string(outcome.message())}});
}

}  // namespace keyhold::localcloud::gcp
