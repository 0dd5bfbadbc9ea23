#include "localcloud/gcp/call.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "localcloud/gcp/error.h"

namespace keyhold::localcloud::gcp {
namespace {

constexpr int kMaxPage = 1000;

// Accounts of the projects that are here must be there; of others nothing is known.
Status CheckMembers(Store& store, const Json& policy) {
  for (const std::string& email : ServiceAccountsOf(policy)) {
    const size_t at = email.find('@');
    const std::string domain = at == std::string::npos ? "" : email.substr(at + 1);
    const std::string project = domain.substr(0, domain.find('.'));
    if (store.FindProject(project) && !store.FindAccount(email)) {
      return Invalid(absl::StrCat("Service account ", email, " does not exist."));
    }
  }
  return OkStatus();
}

}  // namespace

std::string Call::Query(const std::string& name) const {
  const auto found = query.find(name);
  return found == query.end() ? std::string() : found->second;
}

StatusOr<Json> AnswerPolicy(const Call& call, const std::string& policy) {
  int requested = 1;
  std::string text = call.Query("options.requestedPolicyVersion");
  if (text.empty() && call.body.contains("options") && call.body["options"].is_object()) {
    const Json version = call.body["options"].value("requestedPolicyVersion", Json(1));
    text = version.is_string() ? version.get<std::string>() : version.dump();
  }
  if (!text.empty() && !absl::SimpleAtoi(text, &requested)) {
    return Invalid("Invalid value at 'options.requestedPolicyVersion' (TYPE_INT32).");
  }
  return PolicyForVersion(Json::parse(policy), requested);
}

StatusOr<Json> NewPolicy(const Call& call, const std::string& policy) {
  const Json wanted = call.body.value("policy", Json());
  KEYHOLD_ASSIGN_OR_RETURN(Json made, ReplacePolicy(Json::parse(policy), wanted, call.vault.random()));
  KEYHOLD_RETURN_IF_ERROR(CheckMembers(call.store, made));
  return made;
}

StatusOr<Json> Page(const Call& call, const char* field, const std::vector<std::string>& names, Json items) {
  if (!call.Query("filter").empty() || !call.Query("orderBy").empty()) {
    return GcpError("UNIMPLEMENTED", "The local cloud lists without filter and orderBy.");
  }
  int size = 0;
  const std::string asked = call.Query("pageSize");
  if (!asked.empty() && (!absl::SimpleAtoi(asked, &size) || size < 0)) {
    return Invalid("The page_size must be a non-negative integer.");
  }
  if (size == 0 || size > kMaxPage) size = kMaxPage;
  size_t begin = 0;
  if (const std::string token = call.Query("pageToken"); !token.empty()) {
    std::string last;
    const auto found =
        absl::WebSafeBase64Unescape(token, &last) ? std::find(names.begin(), names.end(), last) : names.end();
    if (found == names.end()) return Invalid("The page_token is not valid.");
    begin = static_cast<size_t>(found - names.begin()) + 1;
  }
  const size_t end = std::min(names.size(), begin + static_cast<size_t>(size));
  Json out = {{"totalSize", names.size()}};
  for (size_t i = begin; i < end; ++i) out[field].push_back(std::move(items[i]));
  if (end < names.size() && end > begin) out["nextPageToken"] = absl::WebSafeBase64Escape(names[end - 1]);
  return out;
}

}  // namespace keyhold::localcloud::gcp
