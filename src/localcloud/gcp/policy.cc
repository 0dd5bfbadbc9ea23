#include "localcloud/gcp/policy.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "crypto/hash.h"
#include "localcloud/gcp/error.h"
#include "localcloud/gcp/fields.h"

namespace keyhold::localcloud::gcp {
namespace {

constexpr char kNoEtag[] = "ACAB";  // what Google answers for a policy that was never set
constexpr size_t kMaxMembers = 1500;

struct Role {
  absl::string_view name;
  std::vector<absl::string_view> permissions;  // a trailing "*" stands for any rest
};

// https://cloud.google.com/kms/docs/reference/permissions-and-roles and
// .../iam/docs/service-account-permissions, as far as there are services for their permissions here.
const std::vector<Role>& Roles() {
  static const auto* roles = new std::vector<Role>{
      {"roles/owner", {"*"}},
      {"roles/viewer",
       {"cloudkms.keyRings.get", "cloudkms.keyRings.list", "cloudkms.cryptoKeys.get",
        "cloudkms.cryptoKeys.list", "cloudkms.cryptoKeyVersions.get", "cloudkms.cryptoKeyVersions.list",
        "cloudkms.locations.*", "iam.serviceAccounts.get", "iam.serviceAccounts.list",
        "resourcemanager.projects.get"}},
      {"roles/cloudkms.admin",
       {"cloudkms.keyRings.*", "cloudkms.cryptoKeys.*", "cloudkms.cryptoKeyVersions.create",
        "cloudkms.cryptoKeyVersions.destroy", "cloudkms.cryptoKeyVersions.get",
        "cloudkms.cryptoKeyVersions.list", "cloudkms.cryptoKeyVersions.restore",
        "cloudkms.cryptoKeyVersions.update", "cloudkms.locations.*", "resourcemanager.projects.get"}},
      {"roles/cloudkms.viewer",
       {"cloudkms.keyRings.get", "cloudkms.keyRings.list", "cloudkms.cryptoKeys.get",
        "cloudkms.cryptoKeys.list", "cloudkms.cryptoKeyVersions.get", "cloudkms.cryptoKeyVersions.list",
        "cloudkms.locations.*", "resourcemanager.projects.get"}},
      {"roles/cloudkms.cryptoKeyEncrypterDecrypter",
       {"cloudkms.cryptoKeyVersions.useToEncrypt", "cloudkms.cryptoKeyVersions.useToDecrypt",
        "cloudkms.locations.*", "resourcemanager.projects.get"}},
      {"roles/cloudkms.cryptoKeyEncrypter",
       {"cloudkms.cryptoKeyVersions.useToEncrypt", "cloudkms.locations.*", "resourcemanager.projects.get"}},
      {"roles/cloudkms.cryptoKeyDecrypter",
       {"cloudkms.cryptoKeyVersions.useToDecrypt", "cloudkms.locations.*", "resourcemanager.projects.get"}},
      {"roles/iam.serviceAccountAdmin", {"iam.serviceAccounts.*", "resourcemanager.projects.get"}},
      {"roles/iam.serviceAccountKeyAdmin", {"iam.serviceAccountKeys.*", "iam.serviceAccounts.get"}},
      {"roles/iam.serviceAccountTokenCreator",
       {"iam.serviceAccounts.getAccessToken", "iam.serviceAccounts.get", "iam.serviceAccounts.list"}},
  };
  return *roles;
}

const Role* FindRole(std::string_view name) {
  for (const Role& role : Roles()) {
    if (std::string_view(role.name.data(), role.name.size()) == name) return &role;
  }
  return nullptr;
}

bool IsMember(const std::string& member) {
  if (member == "allUsers" || member == "allAuthenticatedUsers") return true;
  if (absl::StartsWith(member, "principal://") || absl::StartsWith(member, "principalSet://")) return true;
  if (absl::StartsWith(member, "domain:")) return absl::StrContains(member, ".");
  absl::string_view rest = member;
  if (!absl::ConsumePrefix(&rest, "user:") && !absl::ConsumePrefix(&rest, "serviceAccount:") &&
      !absl::ConsumePrefix(&rest, "group:")) {
    return false;
  }
  const size_t at = rest.find('@');
  return at != absl::string_view::npos && at > 0 && absl::StrContains(rest.substr(at), ".") &&
         !absl::StrContains(rest, " ");
}

Status CheckCondition(const Json& binding, int version) {
  const Json& condition = binding["condition"];
  if (!condition.is_object() || TextOf(condition, "title").empty()) {
    return Invalid("The condition of a binding needs a title and an expression.");
  }
  if (version < 3) {
    return Invalid(
        absl::StrCat("Policy version ", version, " cannot have conditions; set the policy's version to 3."));
  }
  const auto evaluated = EvaluateExpression(TextOf(condition, "expression"), {});
  return evaluated.ok() ? OkStatus() : Invalid(std::string(evaluated.status().message()));
}

StatusOr<Json> CheckBinding(const Json& given, int version) {
  if (!given.is_object()) return Invalid("A binding is an object with a role and members.");
  Json binding = {{"role", TextOf(given, "role")}, {"members", Json::array()}};
  if (FindRole(TextOf(given, "role")) == nullptr) {
    return Invalid(absl::StrCat("Role ", TextOf(given, "role"), " is not supported for this resource."));
  }
  const Json members = given.value("members", Json::array());
  if (!members.is_array() || members.size() > kMaxMembers)
    return Invalid("The members of a binding are a list.");
  for (const Json& member : members) {
    if (!member.is_string() || !IsMember(member.get<std::string>())) {
      return Invalid(absl::StrCat("The member ", member.dump(-1, ' ', true, Json::error_handler_t::replace),
                                  " is of an unknown type. Please set a valid type prefix for the member."));
    }
    if (std::find(binding["members"].begin(), binding["members"].end(), member) == binding["members"].end()) {
      binding["members"].push_back(member);
    }
  }
  if (given.contains("condition") && !given["condition"].is_null()) {
    KEYHOLD_RETURN_IF_ERROR(CheckCondition(given, version));
    binding["condition"] = given["condition"];
  }
  return binding;
}

bool Holds(const Json& binding, const ExpressionContext& context) {
  if (!binding.contains("condition")) return true;
  const auto holds = EvaluateExpression(TextOf(binding["condition"], "expression"), context);
  return holds.ok() && *holds;
}

bool IsMemberOf(const Json& binding, const Principal& principal) {
  const std::string self = principal.Member();
  for (const Json& member : binding["members"]) {
    const auto& text = member.get_ref<const std::string&>();
    if (text == self || text == "allUsers" || text == "allAuthenticatedUsers") return true;
  }
  return false;
}

}  // namespace

Json EmptyPolicy() { return {{"version", 1}, {"etag", kNoEtag}, {"bindings", Json::array()}}; }

StatusOr<Json> ReplacePolicy(const Json& current, const Json& wanted, crypto::Random& random) {
  if (!wanted.is_object()) return Invalid("The request has no policy.");
  const std::string etag = TextOf(wanted, "etag");
  std::string asked, held;
  if (!etag.empty() &&
      (!DecodeBytes(etag, &asked) || !DecodeBytes(TextOf(current, "etag"), &held) || asked != held)) {
    return GcpError(
        "ABORTED",
        absl::StrCat("There were concurrent policy changes. Please retry the whole "
                     "read-modify-write with exponential backoff. The request's ETag '",
                     etag, "' did not match the current policy's ETag '", TextOf(current, "etag"), "'."));
  }
  const Json version = wanted.value("version", Json(1));
  if (!version.is_number_integer() || version < 0 || version > 3 || version == 2) {
    return Invalid("The policy's version must be 0, 1 or 3.");
  }
  Json policy = {{"version", 1}, {"bindings", Json::array()}};
  for (const Json& given : wanted.value("bindings", Json::array())) {
    KEYHOLD_ASSIGN_OR_RETURN(Json binding, CheckBinding(given, version.get<int>()));
    if (binding["members"].empty()) continue;  // as Google drops them
    if (binding.contains("condition")) policy["version"] = 3;
    policy["bindings"].push_back(std::move(binding));
  }
  std::string bytes(8, '\0');
  random.Fill({reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()});
  policy["etag"] = absl::Base64Escape(bytes);
  return policy;
}

Json PolicyForVersion(const Json& policy, int requested) {
  Json out = policy;
  if (requested >= 3 || policy.value("version", 1) < 3) return out;
  out["version"] = 1;
  for (Json& binding : out["bindings"]) {
    if (!binding.contains("condition")) continue;
    const std::string text = binding["condition"].dump();
    const std::string hash = crypto::Hex(crypto::Sha256(crypto::AsBytes(text))).substr(0, 20);
    binding["role"] = absl::StrCat(TextOf(binding, "role"), "_withcond_", hash);
    binding.erase("condition");
  }
  return out;
}

bool Allows(const Json& policy, const Principal& principal, std::string_view permission,
            const ExpressionContext& context) {
  for (const Json& binding : policy.value("bindings", Json::array())) {
    if (RoleHas(TextOf(binding, "role"), permission) && IsMemberOf(binding, principal) &&
        Holds(binding, context)) {
      return true;
    }
  }
  return false;
}

bool RoleHas(std::string_view role, std::string_view permission) {
  const Role* found = FindRole(role);
  if (found == nullptr) return false;
  const absl::string_view wanted(permission.data(), permission.size());
  return std::any_of(found->permissions.begin(), found->permissions.end(), [&](absl::string_view known) {
    return absl::ConsumeSuffix(&known, "*") ? absl::StartsWith(wanted, known) : known == wanted;
  });
}

std::vector<std::string> ServiceAccountsOf(const Json& policy) {
  std::vector<std::string> emails;
  for (const Json& binding : policy.value("bindings", Json::array())) {
    for (const Json& member : binding["members"]) {
      absl::string_view text = member.get_ref<const std::string&>();
      if (absl::ConsumePrefix(&text, "serviceAccount:")) emails.emplace_back(text);
    }
  }
  return emails;
}

}  // namespace keyhold::localcloud::gcp
