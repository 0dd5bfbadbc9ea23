#include "localcloud/gcp/iam.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "crypto/hash.h"
#include "crypto/rsa.h"
#include "localcloud/gcp/access.h"
#include "localcloud/gcp/error.h"

namespace keyhold::localcloud::gcp {
namespace {

constexpr int kKeyBits = 2048;
constexpr absl::Duration kMaxTokenLife = absl::Hours(1);

Status NoMethod(const Call& call) {
  return GcpError("NOT_FOUND", absl::StrCat("The requested URL ", call.method, " /v1/", call.path,
                                            " was not found on this server."));
}

// projects/P/serviceAccounts[/EMAIL[/keys]], and the verb after it.
struct Path {
  std::string project, email, rest, verb;
  bool valid = false;
};

Path ParsePath(const std::string& path) {
  const auto [name, verb] = SplitVerb(path);
  const std::vector<std::string> parts = absl::StrSplit(name, '/');
  Path out;
  out.verb = verb;
  out.valid =
      parts.size() >= 3 && parts.size() <= 5 && parts[0] == "projects" && parts[2] == "serviceAccounts";
  if (!out.valid) return out;
  out.project = parts[1];
  if (parts.size() > 3) out.email = parts[3];
  if (parts.size() > 4) out.rest = parts[4];
  return out;
}

std::string RandomDigits(crypto::Random& random, size_t count) {
  std::string bytes(count, '\0');
  random.Fill({reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()});
  std::string digits;
  for (const char byte : bytes) digits += static_cast<char>('0' + static_cast<uint8_t>(byte) % 10);
  digits[0] = '1';
  return digits;
}

Json AccountJson(const ServiceAccount& account) {
  Json out = {{"name", absl::StrCat("projects/", account.project, "/serviceAccounts/", account.email)},
              {"projectId", account.project},
              {"uniqueId", account.unique_id},
              {"email", account.email},
              {"oauth2ClientId", account.unique_id}};
  if (!account.display_name.empty()) out["displayName"] = account.display_name;
  if (account.disabled) out["disabled"] = true;
  return out;
}

StatusOr<ServiceAccount> AccountOf(Call& call, const Path& path, std::string_view permission) {
  call.record.key = path.email;
  KEYHOLD_RETURN_IF_ERROR(Authorize(call, TargetOfAccount(call.store, path.email), permission));
  auto account = call.store.FindAccount(path.email);
  if (account && (path.project == "-" || path.project == account->project)) return *std::move(account);
  return GcpError("NOT_FOUND", "Unknown service account");
}

bool IsAccountId(const std::string& id) {
  return id.size() >= 6 && id.size() <= 30 && absl::ascii_islower(id[0]) && id.back() != '-' &&
         std::all_of(id.begin(), id.end(),
                     [](char c) { return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-'; });
}

StatusOr<Json> CreateAccount(Call& call, const Path& path) {
  call.record.action = "CreateServiceAccount";
  KEYHOLD_RETURN_IF_ERROR(
      Authorize(call, TargetOfProject(call.store, path.project), "iam.serviceAccounts.create"));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string id, StringIn(call.body, "accountId"));
  if (!IsAccountId(id)) {
    return Invalid("The account ID must have 6 to 30 lower case letters, digits and hyphens.");
  }
  const Json given = call.body.value("serviceAccount", Json::object());
  if (!given.is_object()) return Invalid("Invalid value at 'service_account'.");
  KEYHOLD_ASSIGN_OR_RETURN(const std::string display, StringIn(given, "displayName"));
  const std::string email = absl::StrCat(id, "@", path.project, ".iam.gserviceaccount.com");
  call.record.key = email;
  if (call.store.FindAccount(email)) {
    return GcpError("ALREADY_EXISTS", absl::StrCat("Service account ", id, " already exists within project ",
                                                   "projects/", path.project, "."));
  }
  return AccountJson(AddAccount(call.store, call.vault, path.project, id, display));
}

StatusOr<Json> ListAccounts(Call& call, const Path& path) {
  call.record.action = "ListServiceAccounts";
  KEYHOLD_RETURN_IF_ERROR(
      Authorize(call, TargetOfProject(call.store, path.project), "iam.serviceAccounts.list"));
  std::vector<std::string> names;
  Json items = Json::array();
  for (const ServiceAccount& account : call.store.Accounts(path.project)) {
    names.push_back(account.email);
    items.push_back(AccountJson(account));
  }
  KEYHOLD_ASSIGN_OR_RETURN(Json page, Page(call, "accounts", names, std::move(items)));
  page.erase("totalSize");
  return page;
}

StatusOr<Json> SetDisabled(Call& call, const Path& path, bool disabled) {
  call.record.action = disabled ? "DisableServiceAccount" : "EnableServiceAccount";
  KEYHOLD_ASSIGN_OR_RETURN(
      ServiceAccount account,
      AccountOf(call, path, disabled ? "iam.serviceAccounts.disable" : "iam.serviceAccounts.enable"));
  account.disabled = disabled;
  call.store.PutAccount(account);
  return Json::object();
}

StatusOr<Json> CreateKey(Call& call, const Path& path) {
  call.record.action = "CreateServiceAccountKey";
  KEYHOLD_ASSIGN_OR_RETURN(const ServiceAccount account,
                           AccountOf(call, path, "iam.serviceAccountKeys.create"));
  KEYHOLD_ASSIGN_OR_RETURN(const AccountKey key,
                           AddAccountKey(call.store, call.vault, account.email, false, call.now));
  return Json{{"name", absl::StrCat("projects/", account.project, "/serviceAccounts/", account.email,
                                    "/keys/", key.id)},
              {"privateKeyType", "TYPE_GOOGLE_CREDENTIALS_FILE"},
              {"privateKeyData", absl::Base64Escape(KeyFile(account, key).dump(2))},
              {"validAfterTime", TimeText(key.created)},
              {"keyAlgorithm", "KEY_ALG_RSA_2048"},
              {"keyOrigin", "GOOGLE_PROVIDED"},
              {"keyType", "USER_MANAGED"}};
}

StatusOr<Json> AccountPolicy(Call& call, const Path& path) {
  const bool sets = path.verb == "setIamPolicy";
  call.record.action = sets ? "SetIAMPolicy" : "GetIAMPolicy";
  KEYHOLD_ASSIGN_OR_RETURN(ServiceAccount account,
                           AccountOf(call, path, absl::StrCat("iam.serviceAccounts.", path.verb)));
  if (!sets) return AnswerPolicy(call, account.policy);
  KEYHOLD_ASSIGN_OR_RETURN(const Json policy, NewPolicy(call, account.policy));
  account.policy = policy.dump();
  call.store.PutAccount(account);
  return policy;
}

// "3600s".
StatusOr<absl::Duration> LifetimeIn(const Json& body) {
  KEYHOLD_ASSIGN_OR_RETURN(std::string text, StringIn(body, "lifetime"));
  if (text.empty()) return kMaxTokenLife;
  int64_t seconds = 0;
  const bool valid = text.back() == 's' && absl::SimpleAtoi(text.substr(0, text.size() - 1), &seconds);
  if (valid && seconds > 0 && absl::Seconds(seconds) <= kMaxTokenLife) return absl::Seconds(seconds);
  return Invalid("The token lifetime must be greater than 0 and at most 3600s.");
}

StatusOr<Json> GenerateToken(Call& call, const Path& path) {
  call.record.action = "GenerateAccessToken";
  call.record.key = path.email;
  if (!Allowed(call, TargetOfAccount(call.store, path.email), "iam.serviceAccounts.getAccessToken")) {
    return GcpError(
        "PERMISSION_DENIED",
        "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).",
        ErrorInfo("IAM_PERMISSION_DENIED", "iam.googleapis.com",
                  {{"permission", "iam.serviceAccounts.getAccessToken"}}));
  }
  const auto account = call.store.FindAccount(path.email);
  if (!account || account->disabled) {
    return GcpError("FAILED_PRECONDITION", absl::StrCat("Service account ", path.email, " is disabled."));
  }
  KEYHOLD_ASSIGN_OR_RETURN(const absl::Duration lifetime, LifetimeIn(call.body));
  TokenClaims claims{account->email, {}, call.now + lifetime};
  for (const Json& scope : call.body.value("scope", Json::array())) {
    if (!scope.is_string()) return Invalid("A scope is a string.");
    claims.scopes.push_back(scope.get<std::string>());
  }
  if (claims.scopes.empty()) return Invalid("Scope is required.");
  return Json{{"accessToken", MakeToken(call.vault, claims)}, {"expireTime", TimeText(claims.expires)}};
}

}  // namespace

StatusOr<Json> ServeIam(Call& call) {
  const Path path = ParsePath(call.path);
  if (!path.valid) return NoMethod(call);
  const bool get = call.method == "GET";
  if (path.email.empty() && path.verb.empty())
    return get ? ListAccounts(call, path) : CreateAccount(call, path);
  if (path.rest == "keys" && !get && path.verb.empty()) return CreateKey(call, path);
  if (!path.rest.empty()) return NoMethod(call);
  if (get && path.verb.empty()) {
    call.record.action = "GetServiceAccount";
    KEYHOLD_ASSIGN_OR_RETURN(const ServiceAccount account, AccountOf(call, path, "iam.serviceAccounts.get"));
    return AccountJson(account);
  }
  if (path.verb == "disable" || path.verb == "enable") return SetDisabled(call, path, path.verb == "disable");
  if (path.verb == "getIamPolicy" || path.verb == "setIamPolicy") return AccountPolicy(call, path);
  if (path.verb == "testIamPermissions")
    return TestPermissions(call, TargetOfAccount(call.store, path.email));
  return NoMethod(call);
}

StatusOr<Json> ServeCredentials(Call& call) {
  const Path path = ParsePath(call.path);
  if (path.valid && path.project == "-" && path.rest.empty() && path.verb == "generateAccessToken" &&
      call.method == "POST") {
    return GenerateToken(call, path);
  }
  return NoMethod(call);
}

StatusOr<Json> ServeProjects(Call& call) {
  const auto [name, verb] = SplitVerb(call.path);
  const std::vector<std::string> parts = absl::StrSplit(name, '/');
  if (parts.size() != 2 || parts[0] != "projects") return NoMethod(call);
  const Target target = TargetOfProject(call.store, parts[1]);
  call.record.action = verb.empty() ? "GetProject" : verb == "getIamPolicy" ? "GetIamPolicy" : "SetIamPolicy";
  call.record.key = target.name;
  if (verb == "testIamPermissions") return TestPermissions(call, target);
  const std::string permission = verb.empty() ? "get" : verb;
  if (permission != "get" && permission != "getIamPolicy" && permission != "setIamPolicy")
    return NoMethod(call);
  KEYHOLD_RETURN_IF_ERROR(Authorize(call, target, "resourcemanager.projects." + permission));
  Project project = *call.store.FindProject(parts[1]);
  if (verb.empty()) {
    return Json{{"projectId", project.id},
                {"projectNumber", project.number},
                {"name", project.id},
                {"lifecycleState", "ACTIVE"}};
  }
  if (verb == "getIamPolicy") return AnswerPolicy(call, project.policy);
  KEYHOLD_ASSIGN_OR_RETURN(const Json policy, NewPolicy(call, project.policy));
  project.policy = policy.dump();
  call.store.PutProject(project);
  return policy;
}

ServiceAccount AddAccount(Store& store, const Vault& vault, const std::string& project,
                          const std::string& name, const std::string& display_name) {
  const ServiceAccount account{absl::StrCat(name, "@", project, ".iam.gserviceaccount.com"),
                               project,
                               RandomDigits(vault.random(), 21),
                               display_name,
                               EmptyPolicy().dump(),
                               false};
  store.PutAccount(account);
  return account;
}

StatusOr<AccountKey> AddAccountKey(Store& store, const Vault& vault, const std::string& email, bool keep,
                                   absl::Time now) {
  KEYHOLD_ASSIGN_OR_RETURN(const crypto::RsaPrivateKey rsa, crypto::RsaPrivateKey::Generate(kKeyBits));
  std::string id(20, '\0');
  vault.random().Fill({reinterpret_cast<uint8_t*>(id.data()), id.size()});
  AccountKey key{crypto::Hex(crypto::AsBytes(id)), email, rsa.PublicPem(), {}, now};
  if (keep) key.private_pem = rsa.ToPem();
  store.PutAccountKey(key);
  key.private_pem = rsa.ToPem();
  return key;
}

Json KeyFile(const ServiceAccount& account, const AccountKey& key) {
  return {{"type", "service_account"},
          {"project_id", account.project},
          {"private_key_id", key.id},
          {"private_key", std::string(key.private_pem.ExposeText())},
          {"client_email", account.email},
          {"client_id", account.unique_id},
          {"auth_uri", "https://accounts.google.com/o/oauth2/auth"},
          {"token_uri", "https://oauth2.googleapis.com/token"},
          {"auth_provider_x509_cert_url", "https://www.googleapis.com/oauth2/v1/certs"},
          {"client_x509_cert_url",
           absl::StrCat("https://www.googleapis.com/robot/v1/metadata/x509/", account.email)},
          {"universe_domain", "googleapis.com"}};
}

}  // namespace keyhold::localcloud::gcp
