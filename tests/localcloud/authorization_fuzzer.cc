// Authorization headers from anywhere: parsed or refused, and never of a secret that nobody signed with.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "localcloud/aws/sigv4.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace keyhold::localcloud;
  std::string text(reinterpret_cast<const char*>(data), size);
  auto authorization = aws::ParseAuthorization(text);
  if (authorization.ok()) {
    HttpRequest request{"POST", "/" + text, "h", "", {{"host", text}}, text};
    aws::CanonicalRequest(request, authorization->signed_headers);
    for (const char* date : {"20260301T103000Z", text.c_str()}) {
      request.headers = {{"host", "h"}, {"x-amz-date", date}};
      const absl::Time now = absl::FromUnixSeconds(1'772'361'000);
      const aws::Endpoint endpoint{aws::Service::kKms, authorization->region};
      if (aws::VerifySignature(request, *authorization, keyhold::crypto::AsBytes("secret"), endpoint, now)
              .ok())
        std::abort();
    }
  }
  return 0;
}
