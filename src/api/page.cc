#include "api/page.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace keyhold::api {
namespace {

using nlohmann::json;

enum class Direction : char { kNext = 'n', kPrevious = 'p' };

struct Token {
  Direction direction = Direction::kNext;
  std::string key;  // empty: the list's start
};

std::string Encode(Direction direction, const std::string& key) {
  return absl::WebSafeBase64Escape(absl::StrCat(std::string(1, static_cast<char>(direction)), key));
}

StatusOr<Token> TokenOf(const std::string& text) {
  if (text.empty()) return Token{};
  std::string plain;
  if (!absl::WebSafeBase64Unescape(text, &plain) || plain.size() < 2 ||
      (plain[0] != 'n' && plain[0] != 'p')) {
    return Error(Cause::kInvalidArgument, "pagination.page is not a page of this list");
  }
  return Token{static_cast<Direction>(plain[0]), plain.substr(1)};
}

// What `stretch` asks for of `items`, which are in the order of their keys.
std::vector<Keyed> Cut(std::vector<Keyed> items, const Stretch& stretch) {
  if (stretch.descending) std::reverse(items.begin(), items.end());
  const auto behind = [&](const Keyed& item) {
    return stretch.after.empty() ||
           (stretch.descending ? item.key < stretch.after : stretch.after < item.key);
  };
  items.erase(items.begin(), std::find_if(items.begin(), items.end(), behind));
  items.resize(std::min(items.size(), static_cast<size_t>(stretch.limit)));
  return items;
}

// Keys make pages stable here, so that a time adds nothing; what is no time is told.
Status CheckAsOfTime(const std::string& text) {
  absl::Time time;
  std::string error;
  if (text.empty() || absl::ParseTime(absl::RFC3339_full, text, &time, &error)) return OkStatus();
  return Error(Cause::kInvalidArgument, "pagination.as_of_time must be a time such as 2026-01-31T12:00:00Z");
}

}  // namespace

StatusOr<int> LimitOf(const Request& request, const char* name, int fallback) {
  const std::string text = request.Query(name);
  if (text.empty()) return fallback;
  int limit = 0;
  if (!absl::SimpleAtoi(text, &limit) || limit < 1 || limit > kMaxLimit) {
    return Error(Cause::kInvalidArgument, absl::StrCat(name, " must be 1 to ", kMaxLimit));
  }
  return limit;
}

StatusOr<bool> DescendingOf(const Request& request, const char* name, bool fallback) {
  const std::string text = request.Query(name);
  if (text.empty()) return fallback;
  if (text == "ASC" || text == "DESC") return text == "DESC";
  return Error(Cause::kInvalidArgument, absl::StrCat(name, " must be ASC or DESC"));
}

// One element more than the page has room for is asked for: is there another page?
StatusOr<Reply> Paged(const Request& request, const char* name, const ReadStretch& read) {
  KEYHOLD_RETURN_IF_ERROR(CheckAsOfTime(request.Query("pagination.as_of_time")));
  KEYHOLD_ASSIGN_OR_RETURN(const int limit, LimitOf(request, "pagination.limit"));
  KEYHOLD_ASSIGN_OR_RETURN(const bool descending, DescendingOf(request, "pagination.sort_order", false));
  KEYHOLD_ASSIGN_OR_RETURN(const Token token, TokenOf(request.Query("pagination.page")));
  const bool back = token.direction == Direction::kPrevious;
  KEYHOLD_ASSIGN_OR_RETURN(std::vector<Keyed> items, read({token.key, descending != back, limit + 1}));
  const bool more = items.size() > static_cast<size_t>(limit);
  if (more) items.pop_back();
  if (back) std::reverse(items.begin(), items.end());
  json pagination = {{"next_page", ""}, {"previous_page", ""}};
  if (!items.empty() && (back || more)) {
    pagination["next_page"] = Encode(Direction::kNext, items.back().key);
  }
  if (!items.empty() && (back ? more : !token.key.empty())) {
    pagination["previous_page"] = Encode(Direction::kPrevious, items.front().key);
  }
  json list = json::array();
  for (Keyed& item : items) list.push_back(std::move(item.value));
  return Reply::Json({{name, std::move(list)}, {"pagination", std::move(pagination)}});
}

StatusOr<Reply> Paged(const Request& request, const char* name, std::vector<Keyed> items) {
  std::sort(items.begin(), items.end(), [](const Keyed& a, const Keyed& b) { return a.key < b.key; });
  return Paged(request, name, [&](const Stretch& stretch) -> StatusOr<std::vector<Keyed>> {
    return Cut(std::move(items), stretch);
  });
}

}  // namespace keyhold::api
