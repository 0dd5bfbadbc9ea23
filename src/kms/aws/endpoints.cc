#include "kms/aws/endpoints.h"

#include "absl/strings/ascii.h"
#include "kms/aws/arn.h"
#include "kms/text.h"

namespace keyhold::kms::aws {
namespace {

struct PrivateHost {
  std::string service_and_region;
  std::string host;
};

bool IsIdChar(char c) { return IsLower(c) || IsDigit(c) || c == '-'; }

// vpce-ID.SERVICE.REGION.vpce.SUFFIX, where the service in REGION is at SERVICE.REGION.SUFFIX otherwise.
StatusOr<PrivateHost> ParseUrl(std::string_view name, std::string_view service, std::string_view url) {
  const Status bad = Error(Cause::kInvalidArgument,
                           StrCat({name, " ", Quoted(url), " must have the form https://vpce-ID.", service,
                                   ".REGION.vpce.amazonaws.com, as an interface VPC endpoint has it"}));
  constexpr std::string_view kScheme = "https://";
  if (!url.starts_with(kScheme)) return bad;
  std::string_view host = url.substr(kScheme.size());
  if (host.ends_with('/')) host.remove_suffix(1);
  const auto labels = Split(host, '.');
  if (labels.size() < 5 || labels[1] != service || labels[3] != "vpce") return bad;
  if (!labels[0].starts_with("vpce-") || !AllOf(labels[0], IsIdChar)) return bad;
  const std::string_view suffix =
      host.substr(StrCat({labels[0], ".", service, ".", labels[2], ".vpce"}).size());
  const auto usual = PublicHost(service, labels[2]);
  if (!usual.ok() || StrCat({service, ".", labels[2], suffix}) != *usual) return bad;
  return PrivateHost{StrCat({service, ".", labels[2]}), std::string(host)};
}

}  // namespace

StatusOr<Endpoints> Endpoints::From(const Environment& environment) {
  Endpoints endpoints;
  endpoints.fips_ = absl::AsciiStrToLower(Value(environment, "AWS_USE_FIPS_ENDPOINT")) == "true";
  for (const std::string_view service : {"kms", "sts"}) {
    const std::string name = StrCat({"AWS_ENDPOINT_URL_", service == "kms" ? "KMS" : "STS"});
    const std::string url = Value(environment, name);
    if (url.empty()) continue;
    if (endpoints.fips_) {
      return Error(Cause::kInvalidArgument,
                   StrCat({"AWS_USE_FIPS_ENDPOINT and ", name, " contradict each other; unset one"}));
    }
    KEYHOLD_ASSIGN_OR_RETURN(const PrivateHost found, ParseUrl(name, service, url));
    endpoints.private_hosts_[found.service_and_region] = found.host;
  }
  return endpoints;
}

StatusOr<std::string> Endpoints::Host(std::string_view service, std::string_view partition,
                                      std::string_view region) const {
  const auto own = private_hosts_.find(StrCat({service, ".", region}));
  if (own != private_hosts_.end()) return own->second;
  if (!fips_) return ServiceHost(service, partition, region);
  if (partition == "aws-cn") {
    return Error(Cause::kInvalidArgument, "AWS has no FIPS endpoints in China; unset AWS_USE_FIPS_ENDPOINT");
  }
  // GovCloud's STS is validated under its usual name.
  const bool usual = service == "sts" && partition == "aws-us-gov";
  return ServiceHost(usual ? std::string(service) : StrCat({service, "-fips"}), partition, region);
}

}  // namespace keyhold::kms::aws
