// JSON from outside, read strictly: sizes and depth bounded, every field known, every type as it must be.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace keyhold::api {

inline constexpr size_t kMaxBodySize = 1 << 20;  // bytes
inline constexpr int kMaxDepth = 32;             // arrays and objects within each other
inline constexpr size_t kMaxTextSize = 2048;     // bytes of one string

// The one JSON object in `text`. kInvalidArgument says what is wrong and where.
StatusOr<nlohmann::json> ParseObject(std::string_view text);

// Takes the fields of one object. A field that is missing or null is nothing; the first field of a wrong type
// is remembered, and Finish() reports it, or else the first field that nobody asked for. Valid as long as the
// JSON.
class ObjectReader {
 public:
  // `path` stands before field names in messages: "spec.dedicated".
  ObjectReader(const nlohmann::json& object, std::string path);

  // Without control characters, at most kMaxTextSize bytes.
  std::optional<std::string> Text(const char* name);
  std::optional<bool> Flag(const char* name);
  std::optional<int64_t> Number(const char* name, int64_t min, int64_t max);
  // A value of any type, for a reader of its own; null where it is missing. Its path is PathOf(name).
  const nlohmann::json* Value(const char* name);
  std::string PathOf(const std::string& name) const;

  // Remembers `status` if it is the first error.
  void Fail(const Status& status);
  Status Finish();

 private:
  void WrongType(const char* name, const char* expected);

  const nlohmann::json& object_;
  const std::string path_;
  std::set<std::string> known_;
  Status status_;
};

// The whole value at `path` as what it must be; the first error goes to `reader`.
std::map<std::string, std::string> TextMap(ObjectReader& reader, const char* name);
std::vector<std::string> TextList(ObjectReader& reader, const char* name);

}  // namespace keyhold::api
