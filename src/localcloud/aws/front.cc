#include "localcloud/aws/front.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "localcloud/aws/authenticate.h"
#include "localcloud/aws/error.h"
#include "localcloud/aws/fault_error.h"
#include "localcloud/aws/iam/iam.h"
#include "localcloud/aws/kms/kms.h"
#include "localcloud/aws/query.h"
#include "localcloud/aws/sts.h"
#include "localcloud/sql.h"

namespace keyhold::localcloud::aws {
namespace {

constexpr char kJsonType[] = "application/x-amz-json-1.1";

std::string_view Namespace(Service service) {
  return service == Service::kIam ? kIamNamespace : kStsNamespace;
}

HttpResponse JsonAnswer(const StatusOr<std::string>& body, const std::string& request_id) {
  HttpResponse response;
  response.content_type = kJsonType;
  response.headers = {{"x-amzn-RequestId", request_id}};
  if (body.ok()) {
    response.body = *body;
    return response;
  }
  std::string type = AwsErrorType(body.status());
  if (type.empty()) type = "KMSInternalException";
  response.status = JsonHttpStatus(type);
  Json error = {{"__type", type}};
  if (!body.status().message().empty()) error["message"] = std::string(body.status().message());
  response.body = error.dump(-1, ' ', false, Json::error_handler_t::replace);
  return response;
}

HttpResponse XmlAnswer(const StatusOr<std::string>& result, Service service, const std::string& action,
                       const std::string& request_id) {
  HttpResponse response;
  response.content_type = "text/xml";
  response.headers = {{"x-amzn-RequestId", request_id}};
  std::string root = "ErrorResponse";
  std::string inner;
  if (result.ok()) {
    root = action + "Response";
    inner = result->empty() ? "" : XmlTree(action + "Result", *result);
    inner += XmlTree("ResponseMetadata", XmlText("RequestId", request_id));
  } else {
    std::string type = AwsErrorType(result.status());
    if (type.empty()) type = "KMSInternalException";
    response.status = QueryHttpStatus(type);
    inner = XmlTree("Error", XmlText("Type", response.status < 500 ? "Sender" : "Receiver") +
                                 XmlText("Code", QueryErrorCode(type)) +
                                 XmlText("Message", std::string(result.status().message()))) +
            XmlText("RequestId", request_id);
  }
  response.body =
      absl::StrCat("<", root, " xmlns=\"", std::string(Namespace(service)), "\">", inner, "</", root, ">");
  return response;
}

// "Encrypt" of "X-Amz-Target: TrentService.Encrypt"; "" where it is not KMS's.
std::string KmsOperation(const HttpRequest& request) {
  const std::string* target = request.Header("x-amz-target");
  absl::string_view operation = target == nullptr ? "" : absl::string_view(*target);
  if (request.method != "POST" || !absl::ConsumePrefix(&operation, "TrentService.")) return "";
  return std::string(operation);
}

// Parameters of the query protocol come as a form, or in the query of a GET.
Parameters QueryParameters(const HttpRequest& request) {
  if (request.method == "POST") return ParseParameters(request.body, true);
  size_t question = request.target.find('?');
  return question == std::string::npos
             ? Parameters()
             : ParseParameters(std::string_view(request.target).substr(question + 1), true);
}

// Action names go into element names: letters only.
std::string QueryAction(const Parameters& parameters) {
  const std::string* action = FindParameter(parameters, "Action");
  bool plain =
      action != nullptr && action->size() <= 64 &&
      std::all_of(action->begin(), action->end(), [](unsigned char c) { return absl::ascii_isalpha(c); });
  return plain ? *action : "";
}

StatusOr<std::string> ServeJson(Call& call, const HttpRequest& request) {
  std::string operation = KmsOperation(request);
  if (operation.empty()) {
    return AwsError("UnknownOperationException",
                    "The request has no X-Amz-Target of the form TrentService.NAME.");
  }
  auto in = ParseJson(request.body.empty() ? "{}" : request.body);
  if (!in.ok()) return AwsError("SerializationException", std::string(in.status().message()));
  KEYHOLD_ASSIGN_OR_RETURN(Json out, ServeKms(call, operation, *in));
  return out.empty() ? std::string() : out.dump();
}

StatusOr<std::string> ServeQuery(Call& call, const HttpRequest& request) {
  Parameters parameters = QueryParameters(request);
  std::string action = QueryAction(parameters);
  if (action.empty()) {
    return AwsError("UnknownOperationException", "The request names no Action of this service.");
  }
  call.record.action = absl::StrCat(std::string(ServiceName(call.endpoint.service)), ":", action);
  return call.endpoint.service == Service::kIam ? ServeIam(call, action, parameters)
                                                : ServeSts(call, action, parameters);
}

}  // namespace

HttpHandler Front::HandlerFor(const std::string& host) {
  auto endpoint = EndpointOf(host);
  if (!endpoint) return nullptr;
  return [this, endpoint = *endpoint](const HttpRequest& request) { return Handle(endpoint, request); };
}

Status Front::Sweep() {
  return parts_.database.Transact(
      [this](soci::session& sql) { return SweepKms(sql, parts_.vault, parts_.clock.Now()); });
}

StatusOr<std::string> Front::Serve(const Endpoint& endpoint, const HttpRequest& request, AccessEntry& record,
                                   FaultHit& hit) {
  KEYHOLD_RETURN_IF_ERROR(Sweep());
  std::string body;
  const auto serve = [&](soci::session& sql) -> Status {
    IdentityStore identities(sql, parts_.vault);
    const absl::Time now = parts_.clock.Now();
    KEYHOLD_ASSIGN_OR_RETURN(Principal principal,
                             Authenticate(request, endpoint, identities, parts_.vault, now));
    record.principal = principal.arn;
    Call call{endpoint, std::move(principal), now, sql, parts_.vault, identities, record};
    KEYHOLD_ASSIGN_OR_RETURN(
        body, endpoint.service == Service::kKms ? ServeJson(call, request) : ServeQuery(call, request));
    return OkStatus();
  };
  KEYHOLD_RETURN_IF_ERROR(parts_.Serve(
      record, hit, serve, [&](FaultKind kind) { return FaultError(kind, endpoint.service, record); }));
  return body;
}

HttpResponse Front::Handle(const Endpoint& endpoint, const HttpRequest& request) {
  const std::string service(ServiceName(endpoint.service));
  AccessEntry record = parts_.NewEntry(request, absl::StrCat(service, ".", endpoint.region));
  const bool kms = endpoint.service == Service::kKms;
  const std::string action = kms ? KmsOperation(request) : QueryAction(QueryParameters(request));
  record.action = absl::StrCat(service, ":", action);
  FaultHit hit;
  const StatusOr<std::string> answer = Serve(endpoint, request, record, hit);
  parts_.Log(record, hit, answer.status(), AwsErrorType(answer.status()), "InternalFailure");
  HttpResponse response = kms ? JsonAnswer(answer, record.request_id)
                              : XmlAnswer(answer, endpoint.service, action, record.request_id);
  Distort(hit, parts_.vault.random(), response);
  return response;
}

}  // namespace keyhold::localcloud::aws
