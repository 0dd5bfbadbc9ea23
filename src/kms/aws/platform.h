// Who the platform is to AWS: the vendor's credential provider chain, as far as servers have it.
//
// https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
#pragma once

#include <memory>

#include "base/posix.h"
#include "kms/aws/call.h"

namespace keyhold::kms::aws {

// The first of these that is there:
//   AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
//   AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN, AWS_ROLE_SESSION_NAME       AssumeRoleWithWebIdentity
//   the profile AWS_PROFILE ("default") of the shared files (profile.h)    keys; or role_arn with
//   source_profile,
//                                                                          credential_source or
//                                                                          web_identity_token_file
//   AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI                    ECS, EKS Pod Identity
//   the machine's metadata service, version 2                              unless AWS_EC2_METADATA_DISABLED
//   is "true"
// A profile that is asked for by name, or stands in a file that a variable names, must be there. Profiles
// with credential_process or sso_* are refused: a service has nobody to log in. Files are read again at each
// Get, and what ends is renewed before it does. STS is asked in AWS_REGION, AWS_DEFAULT_REGION, the profile's
// region, or else the partition's first. kKmsBadCredentials says what was looked for. Sends nothing here;
// `posix` and what `caller` refers to must outlive the result.
std::unique_ptr<AwsCredentialSource> NewPlatformCredentials(const Environment& environment, Posix& posix,
                                                            const Caller& caller);

}  // namespace keyhold::kms::aws
