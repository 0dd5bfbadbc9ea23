#include "absl/strings/str_cat.h"
#include "localcloud/aws/error.h"
#include "localcloud/aws/iam/operations.h"
#include "localcloud/aws/query.h"

namespace keyhold::localcloud::aws {
namespace {

// Active and inactive ones: docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html.
constexpr size_t kMaxAccessKeys = 2;

// With the secret between Status and CreateDate, where it is told.
std::string AccessKeyXml(const User& user, const AccessKey& key, std::string_view secret) {
  return XmlText("UserName", user.name) + XmlText("AccessKeyId", key.id) +
         XmlText("Status", key.active ? "Active" : "Inactive") +
         (secret.empty() ? "" : XmlText("SecretAccessKey", secret)) +
         XmlText("CreateDate", XmlTime(absl::ToUnixSeconds(key.created)));
}

Status NoSuchKey(const std::string& id) {
  return AwsError("NoSuchEntity", absl::StrCat("The Access Key with id ", id, " cannot be found."));
}

StatusOr<std::string> AccessKeyId(const IamCall& iam) {
  KEYHOLD_ASSIGN_OR_RETURN(std::string id, RequiredParameter(iam.parameters, "AccessKeyId", 128));
  if (id.size() >= 16) return id;
  return ValidationError("accessKeyId", "Member must have length greater than or equal to 16");
}

}  // namespace

StatusOr<std::string> CreateAccessKey(const IamCall& iam) {
  KEYHOLD_ASSIGN_OR_RETURN(User user, NamedUserOrCaller(iam));
  AccessKeyStore keys(iam.call.sql, user);
  if (keys.List().size() >= kMaxAccessKeys) {
    return AwsError("LimitExceededException",
                    absl::StrCat("Cannot exceed quota for AccessKeysPerUser: ", kMaxAccessKeys));
  }
  const AccessKey key = NewAccessKey(iam.call.vault, iam.call.now);
  keys.Put(key);
  KEYHOLD_ASSIGN_OR_RETURN(crypto::SecretBytes secret, OpenSecret(iam.call.vault, key));
  return XmlTree("AccessKey", AccessKeyXml(user, key, secret.ExposeText()));
}

StatusOr<std::string> ListAccessKeys(const IamCall& iam) {
  KEYHOLD_ASSIGN_OR_RETURN(User user, NamedUserOrCaller(iam));
  ListItems items;
  for (const AccessKey& key : AccessKeyStore(iam.call.sql, user).List())
    items.emplace_back(key.id, XmlTree("member", AccessKeyXml(user, key, "")));
  return ListXml(iam, "AccessKeyMetadata", items);
}

StatusOr<std::string> UpdateAccessKey(const IamCall& iam) {
  KEYHOLD_ASSIGN_OR_RETURN(User user, NamedUserOrCaller(iam));
  KEYHOLD_ASSIGN_OR_RETURN(std::string id, AccessKeyId(iam));
  KEYHOLD_ASSIGN_OR_RETURN(std::string status, RequiredParameter(iam.parameters, "Status", 64));
  if (status != "Active" && status != "Inactive") {
    return ValidationError("status", "Member must satisfy enum value set: [Active, Inactive]");
  }
  AccessKeyStore keys(iam.call.sql, user);
  for (AccessKey& key : keys.List()) {
    if (key.id != id) continue;
    key.active = status == "Active";
    keys.Put(key);
    return std::string();
  }
  return NoSuchKey(id);
}

StatusOr<std::string> DeleteAccessKey(const IamCall& iam) {
  KEYHOLD_ASSIGN_OR_RETURN(User user, NamedUserOrCaller(iam));
  KEYHOLD_ASSIGN_OR_RETURN(std::string id, AccessKeyId(iam));
  if (!AccessKeyStore(iam.call.sql, user).Delete(id)) return NoSuchKey(id);
  return std::string();
}

}  // namespace keyhold::localcloud::aws
