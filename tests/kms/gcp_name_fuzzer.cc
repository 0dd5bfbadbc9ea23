// Key URIs and service accounts of Google Cloud: what is taken goes into a path as it is, so nothing in it
// may mean anything there.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "kms/gcp/names.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace gcp = keyhold::kms::gcp;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto name = gcp::ParseKeyName(text);
  if (name.ok()) {
    if (text.find_first_of("%?#\\@ \r\n") != std::string::npos || text.find("..") != std::string::npos ||
        text.find("//") != std::string::npos) {
      std::abort();
    }
    const std::string again = "projects/" + name->project + "/locations/" + name->location + "/keyRings/" +
                              name->ring + "/cryptoKeys/" + name->key;
    if (again != text) std::abort();
  } else if (name.status().message().size() > 1000) {
    std::abort();
  }
  if (gcp::CheckServiceAccount(text).ok() && text.find_first_of("/%?#:\\ \r\n") != std::string::npos)
    std::abort();
  std::string id;
  if (gcp::IsVersionOf(text, "projects/p", &id) && id.find_first_not_of("0123456789") != std::string::npos) {
    std::abort();
  }
  return 0;
}
