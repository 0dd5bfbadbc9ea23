#include "localcloud/aws/host.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace keyhold::localcloud::aws {
namespace {

// AREA-PART[-PART]-NUMBER, such as us-east-1 and us-gov-west-1.
bool IsRegion(absl::string_view text) {
  std::vector<absl::string_view> parts = absl::StrSplit(text, '-');
  if (parts.size() < 3 || parts.size() > 4 || text.size() > 24) return false;
  auto is_word = [](absl::string_view part) {
    return part.size() >= 2 && std::all_of(part.begin(), part.end(), absl::ascii_islower);
  };
  int number = 0;
  return std::all_of(parts.begin(), parts.end() - 1, is_word) && parts.back().size() == 1 &&
         absl::SimpleAtoi(parts.back(), &number) && number > 0;
}

}  // namespace

std::optional<Endpoint> EndpointOf(std::string_view host) {
  if (host == "sts.amazonaws.com") return Endpoint{Service::kSts, "us-east-1"};
  if (host == "iam.amazonaws.com") return Endpoint{Service::kIam, "us-east-1"};
  constexpr std::string_view kSuffix = ".amazonaws.com";
  if (!host.ends_with(kSuffix)) return std::nullopt;
  host.remove_suffix(kSuffix.size());
  size_t dot = host.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  std::string_view service = host.substr(0, dot);
  std::string region(host.substr(dot + 1));
  if (!IsRegion(region)) return std::nullopt;
  if (service == "kms" || service == "kms-fips") return Endpoint{Service::kKms, region};
  if (service == "sts") return Endpoint{Service::kSts, region};
  return std::nullopt;
}

std::string_view ServiceName(Service service) {
  switch (service) {
    case Service::kKms:
      return "kms";
    case Service::kSts:
      return "sts";
    case Service::kIam:
      return "iam";
  }
  return "";
}

}  // namespace keyhold::localcloud::aws
