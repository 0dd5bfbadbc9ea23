// AWS KMS: JSON 1.1 over HTTPS, https://docs.aws.amazon.com/kms/latest/APIReference/.
#pragma once

#include <memory>

#include "kms/aws/call.h"
#include "kms/kms.h"

namespace keyhold::kms::aws {

// The four actions that Keyhold is granted, and ever calls, are kms:Encrypt, kms:Decrypt, kms:GenerateDataKey
// and kms:DescribeKey. `spec` has been checked and is of type AWS_KMS; the references must outlive the
// result. Errors as of Endpoints::Host.
StatusOr<std::unique_ptr<Kms>> NewAwsKms(const KeySpec& spec, const Caller& caller,
                                         AwsCredentialSource& platform, const std::string& external_id);

}  // namespace keyhold::kms::aws
