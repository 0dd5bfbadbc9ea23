// AWS's query protocol, as STS and IAM speak it: form parameters in, XML out.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "localcloud/aws/url.h"

namespace keyhold::localcloud::aws {

// <name>text</name>, the text escaped; and <name>inner</name>, the inner XML as it is.
std::string XmlText(std::string_view name, std::string_view text);
std::string XmlTree(std::string_view name, std::string_view inner);

// The value of a parameter; ValidationException where it is missing, empty or longer than `max` bytes.
StatusOr<std::string> RequiredParameter(const Parameters& parameters, std::string_view name, size_t max);

// ISO 8601, seconds, UTC.
std::string XmlTime(int64_t unix_seconds);

}  // namespace keyhold::localcloud::aws
