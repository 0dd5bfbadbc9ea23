#include "localcloud/aws/kms/input.h"

#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "localcloud/aws/error.h"

namespace keyhold::localcloud::aws {
namespace {

const Json* Member(const Json& in, const char* name) {
  auto found = in.find(name);
  return found == in.end() || found->is_null() ? nullptr : &*found;
}

Status WrongType(const char* name, std::string_view wanted) {
  return AwsError("SerializationException", absl::StrCat(name, " must be ", std::string(wanted)));
}

Status Missing(const char* name) {
  return AwsError("ValidationException",
                  absl::StrCat("1 validation error detected: Value null at '", MemberName(name),
                               "' failed to satisfy constraint: Member must not be null"));
}

Status CheckSize(const char* name, size_t size, size_t min, size_t max) {
  if (size < min) {
    return ValidationError(MemberName(name),
                           absl::StrCat("Member must have length greater than or equal to ", min));
  }
  if (size > max) {
    return ValidationError(MemberName(name),
                           absl::StrCat("Member must have length less than or equal to ", max));
  }
  return OkStatus();
}

}  // namespace

std::string MemberName(std::string_view name) {
  std::string out(name);
  out[0] = absl::ascii_tolower(static_cast<unsigned char>(out[0]));
  return out;
}

StatusOr<std::optional<std::string>> OptionalString(const Json& in, const char* name, size_t max) {
  const Json* member = Member(in, name);
  if (member == nullptr) return std::optional<std::string>();
  if (!member->is_string()) return WrongType(name, "a string");
  const auto& text = member->get_ref<const std::string&>();
  KEYHOLD_RETURN_IF_ERROR(CheckSize(name, text.size(), 0, max));
  return std::optional(text);
}

StatusOr<std::string> RequiredString(const Json& in, const char* name, size_t max) {
  KEYHOLD_ASSIGN_OR_RETURN(std::optional<std::string> text, OptionalString(in, name, max));
  if (!text) return Missing(name);
  KEYHOLD_RETURN_IF_ERROR(CheckSize(name, text->size(), 1, max));
  return *std::move(text);
}

StatusOr<std::optional<int64_t>> OptionalInt(const Json& in, const char* name, int64_t min, int64_t max) {
  const Json* member = Member(in, name);
  if (member == nullptr) return std::optional<int64_t>();
  if (!member->is_number_integer()) return WrongType(name, "an integer");
  auto value = member->get<int64_t>();
  bool low = value < min;
  if (!low && value <= max) return std::optional(value);
  return AwsError("ValidationException",
                  absl::StrCat("1 validation error detected: Value '", value, "' at '", MemberName(name),
                               "' failed to satisfy constraint: Member must have value ",
                               low ? "greater" : "less", " than or equal to ", low ? min : max));
}

StatusOr<bool> OptionalBool(const Json& in, const char* name) {
  const Json* member = Member(in, name);
  if (member == nullptr) return false;
  if (!member->is_boolean()) return WrongType(name, "a boolean");
  return member->get<bool>();
}

StatusOr<std::string> RequiredBlob(const Json& in, const char* name, size_t max) {
  const Json* member = Member(in, name);
  if (member == nullptr) return Missing(name);
  std::string bytes;
  if (!member->is_string() || !absl::Base64Unescape(member->get_ref<const std::string&>(), &bytes)) {
    return WrongType(name, "a base64 string");
  }
  KEYHOLD_RETURN_IF_ERROR(CheckSize(name, bytes.size(), 1, max));
  return bytes;
}

StatusOr<std::map<std::string, std::string>> OptionalStringMap(const Json& in, const char* name) {
  std::map<std::string, std::string> out;
  const Json* member = Member(in, name);
  if (member == nullptr) return out;
  if (!member->is_object()) return WrongType(name, "an object of strings");
  for (const auto& [key, value] : member->items()) {
    if (!value.is_string()) return WrongType(name, "an object of strings");
    out[key] = value.get<std::string>();
  }
  return out;
}

}  // namespace keyhold::localcloud::aws
