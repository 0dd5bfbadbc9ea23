#include "cli/key_spec.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "cli/exit_code.h"

namespace keyhold::cli {
namespace {

using nlohmann::json;

constexpr char kForm[] =
    R"(; --cmek-key-spec takes '{"type":"AWS_KMS","uri":"arn:aws:kms:...","auth_principal":"..."}', {"region_specs":[...]} or @FILE)";

StatusOr<std::string> FromFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxKeySpec + 1, '\0');
  if (!file) return UsageError(absl::StrCat("--cmek-key-spec: cannot read ", path));
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(file.gcount());
  return text;
}

StatusOr<json> Parse(const std::string& text) {
  if (text.size() > kMaxKeySpec) return UsageError("--cmek-key-spec is larger than 1 MiB");
  bool too_deep = false;
  const auto watch = [&](int depth, json::parse_event_t, json&) {
    too_deep = too_deep || depth > kMaxKeySpecDepth;
    return !too_deep;
  };
  try {
    json value = json::parse(text, watch);
    if (too_deep)
      return UsageError(absl::StrCat("--cmek-key-spec is nested deeper than ", kMaxKeySpecDepth, " levels"));
    if (!value.is_object()) return UsageError(absl::StrCat("--cmek-key-spec is not a JSON object", kForm));
    return value;
  } catch (const json::parse_error& e) {
    return UsageError(absl::StrCat("--cmek-key-spec is not JSON: it breaks at byte ", e.byte, kForm));
  } catch (const json::exception&) {
    return UsageError(absl::StrCat("--cmek-key-spec has a number that is out of range", kForm));
  }
}

}  // namespace

StatusOr<json> ParseKeySpec(const std::string& text, const std::vector<std::string>& regions) {
  StatusOr<std::string> source =
      text.rfind('@', 0) == 0 ? FromFile(text.substr(1)) : StatusOr<std::string>(text);
  KEYHOLD_RETURN_IF_ERROR(source.status());
  KEYHOLD_ASSIGN_OR_RETURN(json value, Parse(*source));
  if (value.contains("region_specs")) return value;
  json body = {{"region_specs", json::array()}};
  for (const std::string& region : regions) {
    body["region_specs"].push_back({{"region", region}, {"key_spec", value}});
  }
  return body;
}

}  // namespace keyhold::cli
