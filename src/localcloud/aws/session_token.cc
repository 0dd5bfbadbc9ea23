#include "localcloud/aws/session_token.h"

#include <nlohmann/json.hpp>

#include "localcloud/aws/error.h"
#include "localcloud/json.h"

namespace keyhold::localcloud::aws {
namespace {

constexpr std::string_view kLabel = "keyhold localcloud aws session token";

}  // namespace

std::string SealSession(const Vault& vault, const Session& session) {
  Json content = {{"access_key_id", session.access_key_id},
                  {"secret", std::string(session.secret_access_key.ExposeText())},
                  {"account", session.account},
                  {"role", session.role},
                  {"role_id", session.role_id},
                  {"session_name", session.session_name},
                  {"expires", absl::ToUnixSeconds(session.expires)}};
  return vault.Seal(kLabel, crypto::AsBytes(content.dump()));
}

StatusOr<Session> OpenSession(const Vault& vault, std::string_view token, std::string_view access_key_id) {
  Status invalid =
      AwsError("UnrecognizedClientException", "The security token included in the request is invalid.");
  auto opened = vault.Open(kLabel, token);
  if (!opened.ok()) return invalid;
  KEYHOLD_ASSIGN_OR_RETURN(Json content, ParseJson(opened->ExposeText()));
  if (content.at("access_key_id") != access_key_id) return invalid;
  Session session;
  session.access_key_id = access_key_id;
  session.secret_access_key =
      crypto::SecretBytes::CopyOf(crypto::AsBytes(content.at("secret").get_ref<const std::string&>()));
  session.account = content.at("account");
  session.role = content.at("role");
  session.role_id = content.at("role_id");
  session.session_name = content.at("session_name");
  session.expires = absl::FromUnixSeconds(content.at("expires").get<int64_t>());
  return session;
}

}  // namespace keyhold::localcloud::aws
