// Fields of JSON requests and answers, in the forms that proto3's JSON mapping gives them.
// https://protobuf.dev/programming-guides/json/
#pragma once

#include <string>

#include "absl/time/time.h"
#include "base/status.h"
#include "localcloud/json.h"

namespace keyhold::localcloud::gcp {

inline constexpr char kJsonType[] = "application/json; charset=UTF-8";

// The string `name` of an object; "" where there is none.
std::string TextOf(const Json& object, const char* name);

// The same; INVALID_ARGUMENT where it is no string.
StatusOr<std::string> StringIn(const Json& object, const char* name);

// The bytes of a field, base64 of either alphabet, padded or not, as the mapping allows and clients use it
// (gcloud writes base64url). False where it is neither.
bool DecodeBytes(const std::string& text, std::string* bytes);

// RFC 3339 with the fraction that it needs.
std::string TimeText(absl::Time time);

}  // namespace keyhold::localcloud::gcp
