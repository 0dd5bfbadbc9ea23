#include "localcloud/json.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"

namespace keyhold::localcloud {

StatusOr<Json> ParseJson(std::string_view text) {
  int deepest = 0;
  auto measure = [&deepest](int depth, Json::parse_event_t, Json&) {
    deepest = std::max(deepest, depth);
    return depth <= kMaxJsonDepth;  // what is deeper is not kept
  };
  Json value = Json::parse(text, measure, /*allow_exceptions=*/false);
  if (deepest > kMaxJsonDepth) {
    return Error(Cause::kInvalidArgument, absl::StrCat("JSON nested deeper than ", kMaxJsonDepth));
  }
  if (value.is_discarded()) return Error(Cause::kInvalidArgument, "not valid JSON");
  return value;
}

}  // namespace keyhold::localcloud
