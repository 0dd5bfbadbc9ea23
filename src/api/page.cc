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
  bool given = false;
  Direction direction = Direction::kNext;
  std::string key;
};

std::string Encode(Direction direction, const std::string& key) {
  return absl::WebSafeBase64Escape(absl::StrCat(std::string(1, static_cast<char>(direction)), key));
}

StatusOr<Token> TokenOf(const std::string& text) {
  if (text.empty()) return Token{};
  std::string plain;
  if (!absl::WebSafeBase64Unescape(text, &plain) || plain.empty() || (plain[0] != 'n' && plain[0] != 'p')) {
    return Error(Cause::kInvalidArgument, "pagination.page is not a page of this list");
  }
  return Token{true, static_cast<Direction>(plain[0]), plain.substr(1)};
}

// [begin, end) of the page in `items`, which are in the list's order.
std::pair<size_t, size_t> Window(const std::vector<Keyed>& items, bool descending, const Token& token,
                                 size_t limit) {
  const auto before = [&](const std::string& a, const std::string& b) { return descending ? b < a : a < b; };
  if (token.given && token.direction == Direction::kPrevious) {
    const auto end = std::find_if(items.begin(), items.end(),
                                  [&](const Keyed& item) { return !before(item.key, token.key); });
    const size_t last = end - items.begin();
    return {last - std::min(last, limit), last};
  }
  const auto begin = std::find_if(items.begin(), items.end(), [&](const Keyed& item) {
    return !token.given || before(token.key, item.key);
  });
  const size_t first = begin - items.begin();
  return {first, std::min(items.size(), first + limit)};
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

StatusOr<Reply> Paged(const Request& request, const char* name, std::vector<Keyed> items) {
  KEYHOLD_RETURN_IF_ERROR(CheckAsOfTime(request.Query("pagination.as_of_time")));
  KEYHOLD_ASSIGN_OR_RETURN(const int limit, LimitOf(request, "pagination.limit"));
  KEYHOLD_ASSIGN_OR_RETURN(const bool descending, DescendingOf(request, "pagination.sort_order", false));
  KEYHOLD_ASSIGN_OR_RETURN(const Token token, TokenOf(request.Query("pagination.page")));
  std::sort(items.begin(), items.end(),
            [&](const Keyed& a, const Keyed& b) { return descending ? b.key < a.key : a.key < b.key; });
  const auto [begin, end] = Window(items, descending, token, limit);
  json list = json::array();
  for (size_t i = begin; i < end; ++i) list.push_back(std::move(items[i].value));
  json pagination = {{"next_page", ""}, {"previous_page", ""}};
  if (end < items.size() && end > begin)
    pagination["next_page"] = Encode(Direction::kNext, items[end - 1].key);
  if (begin > 0 && end > begin) pagination["previous_page"] = Encode(Direction::kPrevious, items[begin].key);
  return Reply::Json({{name, std::move(list)}, {"pagination", std::move(pagination)}});
}

}  // namespace keyhold::api
