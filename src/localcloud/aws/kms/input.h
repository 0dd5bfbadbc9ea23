// Reading the members of a KMS request, each with AWS's own refusals: SerializationException for a wrong JSON
// type, ValidationException for a value out of bounds.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "localcloud/json.h"

namespace keyhold::localcloud::aws {

// Absent and null are the same. Sizes are in bytes.
StatusOr<std::optional<std::string>> OptionalString(const Json& in, const char* name, size_t max);
StatusOr<std::string> RequiredString(const Json& in, const char* name, size_t max);
StatusOr<std::optional<int64_t>> OptionalInt(const Json& in, const char* name, int64_t min, int64_t max);
StatusOr<bool> OptionalBool(const Json& in, const char* name);  // false when absent
// Base64 on the wire; 1 to `max` bytes decoded.
StatusOr<std::string> RequiredBlob(const Json& in, const char* name, size_t max);
// An object of strings; empty when absent.
StatusOr<std::map<std::string, std::string>> OptionalStringMap(const Json& in, const char* name);

// "PlaintextText" as AWS names members in messages: "plaintextText".
std::string MemberName(std::string_view name);

}  // namespace keyhold::localcloud::aws
