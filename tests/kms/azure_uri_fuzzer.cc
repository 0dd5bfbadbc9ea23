// A key URI and a challenge out of any bytes: what is accepted must be of the table's hosts, and come out
// again.
#include <cstdint>
#include <cstdlib>

#include "kms/azure/challenge.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using keyhold::kms::azure::ParseKeyUri;
  using keyhold::kms::azure::TenantOfChallenge;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto uri = ParseKeyUri(text);
  if (uri.ok()) {
    const std::string again = "https://" + uri->host + uri->Path(uri->version);
    if (again != text || !uri->host.ends_with(uri->cloud->host_suffix)) std::abort();
  } else if (uri.status().message().size() > 2000) {
    std::abort();
  }
  const auto& cloud = *ParseKeyUri("https://abc.vault.azure.net/keys/k")->cloud;
  const auto tenant = TenantOfChallenge(text, cloud);
  if (tenant.ok() && (tenant->size() != 36 || text.find(*tenant) == std::string_view::npos)) std::abort();
  return 0;
}
