#include "kms/aws/call.h"

#include "kms/retry_after.h"
#include "kms/text.h"

namespace keyhold::kms::aws {
namespace {

// The longest single exchange: a KMS answers in milliseconds, and a hanging connection must leave time to try
// another.
constexpr absl::Duration kExchangeTimeout = absl::Seconds(10);

HttpRequest MakeRequest(const Endpoint& endpoint, const crypto::SecretBytes& body,
                        std::shared_ptr<const AwsCredentials> credentials, absl::Duration timeout) {
  HttpRequest request;
  request.host = endpoint.host;
  request.headers = endpoint.headers;
  request.headers["Content-Type"] = endpoint.content_type;
  request.body = body.Clone();
  if (credentials != nullptr)
    request.aws = AwsSigning{endpoint.region, endpoint.service, std::move(credentials)};
  request.timeout = timeout;
  return request;
}

}  // namespace

StatusOr<HttpResponse> Caller::Send(const Endpoint& endpoint, const crypto::SecretBytes& body,
                                    AwsCredentialSource& source, std::string_view what,
                                    const FailureReader& read_failure, absl::Duration budget) const {
  HttpResponse answer;
  const auto once = [&](absl::Duration left) -> TryResult {
    const absl::Time deadline = tools.clock.Now() + left;
    auto credentials = source.Get(left);
    if (!credentials.ok()) return {credentials.status()};
    auto response = http.Send(MakeRequest(endpoint, body, *std::move(credentials),
                                          std::min(deadline - tools.clock.Now(), kExchangeTimeout)));
    if (!response.ok()) {
      return {Annotate(response.status(), what)};
    }
    answer = *std::move(response);
    if (answer.status == 200) return {OkStatus()};
    return {read_failure(answer), RetryAfter(answer)};
  };
  KEYHOLD_RETURN_IF_ERROR(Retry(tools, budget, once));
  return answer;
}

}  // namespace keyhold::kms::aws
