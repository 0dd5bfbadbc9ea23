#include "localcloud/aws/iam/input.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/text.h"
#include "localcloud/aws/access.h"
#include "localcloud/aws/error.h"
#include "localcloud/aws/policy.h"
#include "localcloud/aws/query.h"

namespace keyhold::localcloud::aws {
namespace {

constexpr size_t kMaxPath = 512;
constexpr size_t kMaxMarker = 320;
constexpr int kMaxItems = 1000;
constexpr int kDefaultItems = 100;

bool IsPath(std::string_view path, unsigned char last) {
  return !path.empty() && path.front() == '/' && path.size() <= kMaxPath &&
         std::all_of(path.begin(), path.end(), [&](unsigned char c) { return c > 0x20 && c <= last; });
}

StatusOr<size_t> MaxItems(const IamCall& iam) {
  const std::string* text = FindParameter(iam.parameters, "MaxItems");
  if (text == nullptr) return kDefaultItems;
  int items = 0;
  if (absl::SimpleAtoi(*text, &items) && items >= 1 && items <= kMaxItems) return static_cast<size_t>(items);
  return ValidationError("maxItems", absl::StrCat("Member must have value from 1 to ", kMaxItems));
}

std::string MarkerPrefix(const IamCall& iam) { return iam.call.record.action + "|"; }

// The text after which the page begins; "" for the first one.
StatusOr<std::string> PageStart(const IamCall& iam) {
  const std::string* marker = FindParameter(iam.parameters, "Marker");
  if (marker == nullptr) return std::string();
  std::string opened;
  if (marker->size() > kMaxMarker || !absl::WebSafeBase64Unescape(*marker, &opened) ||
      !absl::StartsWith(opened, MarkerPrefix(iam))) {
    return AwsError("ValidationException", "Invalid Marker.");
  }
  return opened.substr(MarkerPrefix(iam).size());
}

size_t BytesWithoutSpace(const std::string& document) {
  return static_cast<size_t>(std::count_if(document.begin(), document.end(),
                                           [](unsigned char c) { return !absl::ascii_isspace(c); }));
}

StatusOr<std::string> PolicyName(const IamCall& iam) { return Name(iam, "PolicyName", 128); }

Status NoPolicy(std::string_view kind, const std::string& name) {
  return AwsError("NoSuchEntity",
                  absl::StrCat("The ", std::string(kind), " policy with name ", name, " cannot be found."));
}

}  // namespace

Status Authorize(const IamCall& iam, const std::string& resource) {
  iam.call.record.key = resource;
  PolicyRequest request{iam.call.principal, iam.call.record.action, resource, {}};
  return CheckAccess({std::move(request), iam.account, "", PolicyKind::kIdentity});
}

StatusOr<std::string> Name(const IamCall& iam, std::string_view parameter, size_t max) {
  KEYHOLD_ASSIGN_OR_RETURN(std::string name, RequiredParameter(iam.parameters, parameter, max));
  bool plain = std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) ||
           absl::string_view("+=,.@_-").find(static_cast<char>(c)) != absl::string_view::npos;
  });
  if (plain) return name;
  return AwsError("ValidationException",
                  absl::StrCat("The specified value for ", std::string(parameter),
                               " is invalid. It must contain only alphanumeric characters "
                               "and/or the following: +=,.@_-"));
}

StatusOr<std::string> Path(const IamCall& iam) {
  const std::string* path = FindParameter(iam.parameters, "Path");
  if (path == nullptr) return std::string("/");
  if (IsPath(*path, 0x7e) && path->back() == '/') return *path;
  return AwsError("ValidationException",
                  "The specified value for path is invalid. It must begin and end with / and contain only "
                  "alphanumeric characters and/or / characters.");
}

StatusOr<std::string> PathPrefix(const IamCall& iam) {
  const std::string* prefix = FindParameter(iam.parameters, "PathPrefix");
  if (prefix == nullptr) return std::string("/");
  if (IsPath(*prefix, 0x7f)) return *prefix;
  return AwsError("ValidationException",
                  "The specified value for pathPrefix is invalid. It must begin with the / character.");
}

Status RefuseUnsupported(const IamCall& iam) {
  for (const auto& [name, value] : iam.parameters) {
    if (name != "PermissionsBoundary" && !absl::StartsWith(name, "Tags.")) continue;
    return AwsError("UnsupportedOperationException",
                    absl::StrCat("The local cloud has no ", name, "; leave it out."));
  }
  return OkStatus();
}

StatusOr<std::string> ListXml(const IamCall& iam, std::string_view name, const ListItems& items) {
  KEYHOLD_ASSIGN_OR_RETURN(size_t max, MaxItems(iam));
  KEYHOLD_ASSIGN_OR_RETURN(std::string start, PageStart(iam));
  auto from = std::upper_bound(items.begin(), items.end(), start,
                               [](const std::string& text, const auto& item) { return text < item.first; });
  auto to = from + std::min<ptrdiff_t>(static_cast<ptrdiff_t>(max), items.end() - from);
  std::string members;
  for (auto item = from; item != to; ++item) members += item->second;
  std::string xml = XmlTree(name, members) + XmlText("IsTruncated", to == items.end() ? "false" : "true");
  if (to == items.end()) return xml;
  return xml + XmlText("Marker", absl::WebSafeBase64Escape(MarkerPrefix(iam) + std::prev(to)->first));
}

StatusOr<std::string> PutPolicy(const IamCall& iam, InlinePolicies policies, const PolicyQuota& quota) {
  KEYHOLD_ASSIGN_OR_RETURN(std::string name, PolicyName(iam));
  KEYHOLD_ASSIGN_OR_RETURN(std::string document, RequiredParameter(iam.parameters, "PolicyDocument", 131072));
  size_t bytes = BytesWithoutSpace(document);
  for (const auto& [other, text] : policies.List())
    if (other != name) bytes += BytesWithoutSpace(text);
  if (bytes > quota.max_bytes) {
    return AwsError("LimitExceededException",
                    absl::StrCat("Maximum policy size of ", quota.max_bytes, " bytes exceeded for ",
                                 std::string(quota.kind), " ", quota.holder));
  }
  KEYHOLD_RETURN_IF_ERROR(Policy::Parse(document, PolicyKind::kIdentity).status());
  policies.Put(name, document);
  return std::string();
}

StatusOr<std::string> GetPolicy(const IamCall& iam, InlinePolicies policies, std::string_view kind) {
  KEYHOLD_ASSIGN_OR_RETURN(std::string name, PolicyName(iam));
  for (const auto& [policy, document] : policies.List()) {
    if (policy == name)
      return XmlText("PolicyName", name) + XmlText("PolicyDocument", PercentEncoded(document));
  }
  return NoPolicy(kind, name);
}

StatusOr<std::string> ListPolicies(const IamCall& iam, InlinePolicies policies) {
  ListItems items;
  for (const auto& [name, document] : policies.List()) items.emplace_back(name, XmlText("member", name));
  return ListXml(iam, "PolicyNames", items);
}

StatusOr<std::string> DeletePolicy(const IamCall& iam, InlinePolicies policies, std::string_view kind) {
  KEYHOLD_ASSIGN_OR_RETURN(std::string name, PolicyName(iam));
  if (!policies.Delete(name)) return NoPolicy(kind, name);
  return std::string();
}

}  // namespace keyhold::localcloud::aws
