// Authorization headers from anywhere: parsed or refused.
#include <cstddef>
#include <cstdint>

#include "localcloud/aws/sigv4.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace keyhold::localcloud;
  std::string text(reinterpret_cast<const char*>(data), size);
  auto authorization = aws::ParseAuthorization(text);
  if (authorization.ok()) {
    HttpRequest request{"POST", "/" + text, "h", "", {{"host", text}}, text};
    aws::CanonicalRequest(request, authorization->signed_headers);
  }
  return 0;
}
