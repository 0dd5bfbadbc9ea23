// ARNs out of any bytes: a key's that is taken comes out again, and leads to a host of its partition alone.
#include <cstdint>
#include <cstdlib>

#include "kms/aws/arn.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace aws = keyhold::kms::aws;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto key = aws::ParseKeyArn(text);
  if (key.ok()) {
    if (text != "arn:" + key->partition + ":kms:" + key->region + ":" + key->account + ":key/" + key->key_id)
      std::abort();
    const std::string host = aws::ServiceHost("kms", key->partition, key->region);
    const std::string suffix = key->partition == "aws-cn" ? ".amazonaws.com.cn" : ".amazonaws.com";
    if (host != "kms." + key->region + suffix) std::abort();
    if (key->region.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos)
      std::abort();
  } else if (key.status().message().size() > 1000) {
    std::abort();
  }
  const auto principal = aws::ParsePrincipalArn(text);
  if (principal.ok() && !aws::IsCaller(*principal, text)) std::abort();
  if (!principal.ok() && principal.status().message().size() > 1000) std::abort();
  if (aws::GrantableArn(text).size() > text.size() + 8) std::abort();
  return 0;
}
