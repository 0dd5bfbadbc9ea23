#include "localcloud/aws/front.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "localcloud/aws/authenticate.h"
#include "localcloud/aws/error.h"
#include "localcloud/aws/iam.h"
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

void Front::SetFault(std::optional<Fault> fault) {
  std::lock_guard lock(mutex_);
  fault_ = std::move(fault);
}

Status Front::Sweep() {
  return database_.Transact([this](soci::session& sql) { return SweepKms(sql, vault_, clock_.Now()); });
}

StatusOr<std::string> Front::Serve(const Endpoint& endpoint, const HttpRequest& request,
                                   AccessRecord& record) {
  KEYHOLD_RETURN_IF_ERROR(Sweep());
  std::string body;
  Status status = database_.Transact([&](soci::session& sql) -> Status {
    IdentityStore identities(sql, vault_);
    absl::Time now = clock_.Now();
    KEYHOLD_ASSIGN_OR_RETURN(Principal principal, Authenticate(request, endpoint, identities, vault_, now));
    record.principal = principal.arn;
    Call call{endpoint, std::move(principal), now, sql, vault_, identities, record};
    auto answer = endpoint.service == Service::kKms ? ServeJson(call, request) : ServeQuery(call, request);
    if (answer.ok()) body = *std::move(answer);
    return answer.status();
  });
  KEYHOLD_RETURN_IF_ERROR(status);
  return body;
}

HttpResponse Front::Handle(const Endpoint& endpoint, const HttpRequest& request) {
  AccessRecord record;
  record.request_id = crypto::NewUuid(vault_.random());
  record.source_address = request.source_address;
  bool kms = endpoint.service == Service::kKms;
  std::string action = kms ? KmsOperation(request) : QueryAction(QueryParameters(request));
  record.action = absl::StrCat(std::string(ServiceName(endpoint.service)), ":", action);
  std::optional<Fault> fault;
  if (kms) {
    std::lock_guard lock(mutex_);
    fault = fault_;
  }
  StatusOr<std::string> answer =
      fault ? StatusOr<std::string>(AwsError(fault->type, fault->message)) : Serve(endpoint, request, record);
  Log(endpoint, record, answer.status());
  HttpResponse response = kms ? JsonAnswer(answer, record.request_id)
                              : XmlAnswer(answer, endpoint.service, action, record.request_id);
  if (fault) response.status = fault->http_status;
  return response;
}

void Front::Log(const Endpoint& endpoint, const AccessRecord& record, const Status& outcome) {
  AccessEntry entry;
  entry.time = clock_.Now();
  entry.service = absl::StrCat(std::string(ServiceName(endpoint.service)), ".", endpoint.region);
  entry.principal = record.principal;
  entry.action = record.action;
  entry.key = record.key_arn;
  entry.outcome = outcome.ok() ? "OK" : AwsErrorType(outcome);
  entry.message = std::string(outcome.message());
  entry.request_id = record.request_id;
  entry.source = record.source_address;
  entry.encryption_context = record.encryption_context;
  if (!outcome.ok() && entry.outcome.empty()) {
    entry.outcome = "InternalFailure";
    spdlog::error("local cloud: {} failed: {}", record.action, entry.message);
  }
  Status logged = log_.Append(entry);
  if (!logged.ok()) spdlog::error("local cloud: {}", std::string(logged.message()));
}

}  // namespace keyhold::localcloud::aws
