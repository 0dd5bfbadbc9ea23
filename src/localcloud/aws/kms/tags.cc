#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "localcloud/aws/error.h"
#include "localcloud/aws/kms/input.h"
#include "localcloud/aws/kms/operations.h"

namespace keyhold::localcloud::aws {
namespace {

constexpr size_t kMaxTags = 50;

}  // namespace

StatusOr<std::map<std::string, std::string>> TagsOf(const Json& in) {
  std::map<std::string, std::string> tags;
  auto found = in.find("Tags");
  if (found == in.end() || found->is_null()) return tags;
  if (!found->is_array()) return AwsError("SerializationException", "Tags must be a list");
  for (const Json& tag : *found) {
    if (!tag.is_object()) return AwsError("SerializationException", "A tag must be an object");
    KEYHOLD_ASSIGN_OR_RETURN(std::string name, RequiredString(tag, "TagKey", 128));
    KEYHOLD_ASSIGN_OR_RETURN(auto value, OptionalString(tag, "TagValue", 256));
    if (absl::StartsWithIgnoreCase(name, "aws:")) {
      return AwsError("TagException", "Tag keys that begin with aws: are reserved.");
    }
    if (!tags.emplace(name, value.value_or("")).second) return AwsError("TagException", "Duplicate tag keys");
  }
  if (tags.size() > kMaxTags) return AwsError("LimitExceededException", "A key has at most 50 tags.");
  return tags;
}

StatusOr<Json> TagResource(KmsCall& kms, KmsKey& key, const Json& in) {
  KEYHOLD_ASSIGN_OR_RETURN(auto tags, TagsOf(in));
  for (const auto& [name, value] : tags) kms.keys.PutTag(key, name, value);
  if (kms.keys.Tags(key).size() <= kMaxTags) return Json::object();
  return AwsError("LimitExceededException", "A key has at most 50 tags.");
}

StatusOr<Json> UntagResource(KmsCall& kms, KmsKey& key, const Json& in) {
  auto found = in.find("TagKeys");
  if (found == in.end() || !found->is_array()) {
    return AwsError("SerializationException", "TagKeys must be a list of strings");
  }
  for (const Json& name : *found) {
    if (!name.is_string()) return AwsError("SerializationException", "TagKeys must be a list of strings");
    kms.keys.DeleteTag(key, name.get_ref<const std::string&>());
  }
  return Json::object();
}

StatusOr<Json> ListResourceTags(KmsCall& kms, KmsKey& key, const Json& in) {
  PageItems items;
  for (const auto& [name, value] : kms.keys.Tags(key)) {
    items.emplace_back(name, Json{{"TagKey", name}, {"TagValue", value}});
  }
  return Page(in, "Tags", items, 50);
}

}  // namespace keyhold::localcloud::aws
