#include "kms/gcp/call.h"

#include "kms/retry_after.h"
#include "kms/text.h"

namespace keyhold::kms::gcp {
namespace {

// The longest single exchange: a hanging connection must leave time to try another.
constexpr absl::Duration kExchangeTimeout = absl::Seconds(10);

HttpRequest MakeRequest(const Request& from, const crypto::SecretBytes& body, const Token& token,
                        absl::Duration left) {
  HttpRequest request;
  request.method = from.method;
  request.host = from.host;
  request.path = from.path;
  request.headers = from.headers;
  request.metadata = from.metadata;
  if (from.method != "GET") request.headers["Content-Type"] = from.content_type;
  request.body = body.Clone();
  if (token != nullptr) {
    request.bearer = std::shared_ptr<const crypto::SecretBytes>(token, &token->value);
  }
  request.timeout = std::min(left, kExchangeTimeout);
  return request;
}

}  // namespace

StatusOr<HttpResponse> Caller::Send(const Request& request, const crypto::SecretBytes& body,
                                    TokenSource* source, std::string_view what,
                                    const FailureReader& read_failure, absl::Duration budget) const {
  HttpResponse answer;
  bool renewed = false;
  const std::function<TryResult(absl::Duration)> once = [&](absl::Duration left) -> TryResult {
    const absl::Time deadline = tools.clock.Now() + left;
    Token token;
    if (source != nullptr) {
      auto got = source->Get(left);
      if (!got.ok()) return {got.status()};
      token = *std::move(got);
    }
    auto response = http.Send(MakeRequest(request, body, token, deadline - tools.clock.Now()));
    if (!response.ok()) return {Annotate(response.status(), what)};
    answer = *std::move(response);
    if (answer.status == 200) return {OkStatus()};
    if (answer.status == 401 && source != nullptr && !renewed) {
      renewed = true;
      source->Forget(token);
      return once(deadline - tools.clock.Now());
    }
    return {read_failure(answer), RetryAfter(answer)};
  };
  KEYHOLD_RETURN_IF_ERROR(Retry(tools, budget, once));
  return answer;
}

}  // namespace keyhold::kms::gcp
