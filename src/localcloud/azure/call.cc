#include "localcloud/azure/call.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "localcloud/aws/url.h"

namespace keyhold::localcloud::azure {
namespace {

constexpr int kPageSize = 25;  // Key Vault's

std::string WithoutQuery(const std::string& target) { return target.substr(0, target.find('?')); }

aws::Parameters QueryOf(const HttpRequest& request) {
  const size_t question = request.target.find('?');
  if (question == std::string::npos) return {};
  return aws::ParseParameters(std::string_view(request.target).substr(question + 1), true);
}

Status WrongType(const char* name) {
  return BadParameter(absl::StrCat("Property '", name, "' has invalid value"));
}

const Json* Member(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

}  // namespace

std::string Call::Query(std::string_view name) const {
  const aws::Parameters parameters = QueryOf(http);
  const std::string* value = aws::FindParameter(parameters, name);
  return value == nullptr ? std::string() : *value;
}

bool Call::Is(std::string_view method, std::initializer_list<std::string_view> segments) const {
  return http.method == method && std::equal(path.begin(), path.end(), segments.begin(), segments.end(),
                                             [](const std::string& have, std::string_view want) {
                                               return want == "*" ||
                                                      absl::EqualsIgnoreCase(have, std::string(want));
                                             });
}

Status ReadRequest(Call& call) {
  std::string_view rest = call.http.target;
  rest = rest.substr(0, rest.find('?'));
  while (!rest.empty()) {
    const size_t slash = rest.find('/');
    const std::string segment = aws::PercentDecode(rest.substr(0, slash), false);
    if (!segment.empty()) call.path.push_back(segment);
    rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
  }
  if (call.http.body.empty()) return OkStatus();
  auto body = ParseJson(call.http.body);
  if (!body.ok() || !body->is_object()) return BadParameter("The request body is not a JSON object.");
  call.body = *std::move(body);
  return OkStatus();
}

StatusOr<std::string> StringIn(const Json& object, const char* name, std::string_view absent) {
  const Json* found = Member(object, name);
  if (found == nullptr) return std::string(absent);
  if (!found->is_string()) return WrongType(name);
  return found->get<std::string>();
}

StatusOr<int64_t> IntIn(const Json& object, const char* name, int64_t absent) {
  const Json* found = Member(object, name);
  if (found == nullptr) return absent;
  if (!found->is_number_integer()) return WrongType(name);
  return found->get<int64_t>();
}

StatusOr<bool> BoolIn(const Json& object, const char* name, bool absent) {
  const Json* found = Member(object, name);
  if (found == nullptr) return absent;
  if (!found->is_boolean()) return WrongType(name);
  return found->get<bool>();
}

StatusOr<Result> Page(const Call& call, const std::vector<Json>& items) {
  int limit = kPageSize;
  size_t offset = 0;
  if (const std::string asked = call.Query("maxresults"); !asked.empty()) {
    if (!absl::SimpleAtoi(asked, &limit) || limit < 1 || limit > kPageSize) {
      return BadParameter("maxresults: The value must be between 1 and 25.");
    }
  }
  if (const std::string token = call.Query("$skiptoken"); !token.empty()) {
    if (!absl::SimpleAtoi(token, &offset) || offset > items.size())
      return BadParameter("$skiptoken is invalid.");
  }
  const size_t end = std::min(items.size(), offset + static_cast<size_t>(limit));
  Json page = Json::array();
  for (size_t i = offset; i < end; ++i) page.push_back(items[i]);
  Json next = nullptr;
  if (end < items.size()) {
    next =
        absl::StrCat("https://", call.http.host, WithoutQuery(call.http.target),
                     "?api-version=", call.Query("api-version"), "&$skiptoken=", end, "&maxresults=", limit);
  }
  return Result{200, {{"value", std::move(page)}, {"nextLink", next}}};
}

}  // namespace keyhold::localcloud::azure
