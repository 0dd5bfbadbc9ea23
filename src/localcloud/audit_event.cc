#include "localcloud/audit_event.h"

#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace keyhold::localcloud {
namespace {

using Json = nlohmann::ordered_json;

std::string Time(const AccessEntry& entry, const char* format) {
  return absl::FormatTime(format, entry.time, absl::UTCTimeZone());
}

// What follows the last `separator`; the whole text where there is none.
std::string After(const std::string& text, char separator) { return text.substr(text.rfind(separator) + 1); }

// The field of an ARN (RFC-less: arn:partition:service:region:account:resource), "" where it has none.
std::string ArnField(const std::string& arn, size_t field) {
  const std::vector<std::string> fields = absl::StrSplit(arn, ':');
  return field < fields.size() ? fields[field] : "";
}

Json AwsIdentity(const std::string& principal) {
  const std::string account = ArnField(principal, 4);
  const bool role = ArnField(principal, 2) == "sts";
  Json identity = {{"type", role ? "AssumedRole" : "IAMUser"}, {"arn", principal}, {"accountId", account}};
  if (!role) identity["userName"] = After(principal, '/');
  return identity;
}

bool ReadsOnly(const std::string& operation) {
  for (const char* verb : {"Decrypt", "Encrypt", "GenerateDataKey", "Describe", "Get", "List", "ReEncrypt"})
    if (absl::StartsWith(operation, verb)) return true;
  return false;
}

Json CloudTrailRecord(const AccessEntry& entry) {
  const std::vector<std::string> service = absl::StrSplit(entry.service, absl::MaxSplits('.', 1));
  const std::string operation = After(entry.action, ':');
  Json record = {{"eventVersion", "1.08"},
                 {"userIdentity", AwsIdentity(entry.principal)},
                 {"eventTime", Time(entry, "%Y-%m-%dT%H:%M:%SZ")},
                 {"eventSource", absl::StrCat(service[0], ".amazonaws.com")},
                 {"eventName", operation},
                 {"awsRegion", service.size() > 1 ? service[1] : ""},
                 {"sourceIPAddress", entry.source}};
  if (entry.outcome != "OK") {
    record["errorCode"] = entry.outcome;
    record["errorMessage"] = entry.message;
  }
  Json parameters = Json::object();
  if (!entry.key.empty()) parameters["keyId"] = entry.key;
  if (!entry.encryption_context.empty()) parameters["encryptionContext"] = entry.encryption_context;
  record["requestParameters"] = parameters;
  record["responseElements"] = nullptr;
  record["requestID"] = entry.request_id;
  record["readOnly"] = ReadsOnly(operation);
  record["resources"] = Json::array();
  if (!entry.key.empty()) {
    record["resources"].push_back(
        {{"accountId", ArnField(entry.key, 4)}, {"type", "AWS::KMS::Key"}, {"ARN", entry.key}});
  }
  record["eventType"] = "AwsApiCall";
  record["recipientAccountId"] = ArnField(entry.key.empty() ? entry.principal : entry.key, 4);
  return record;
}

// projects/P/locations/L/keyRings/R/cryptoKeys/K as the labels of a cloudkms_cryptokey.
Json KeyLabels(const std::string& name) {
  static constexpr std::pair<const char*, const char*> kLabels[] = {{"projects", "project_id"},
                                                                    {"locations", "location"},
                                                                    {"keyRings", "key_ring_id"},
                                                                    {"cryptoKeys", "crypto_key_id"}};
  const std::vector<std::string> parts = absl::StrSplit(name, '/');
  Json labels = Json::object();
  for (size_t i = 0; i + 1 < parts.size(); i += 2)
    for (const auto& [part, label] : kLabels)
      if (parts[i] == part) labels[label] = parts[i + 1];
  return labels;
}

Json CloudAuditEntry(const AccessEntry& entry) {
  const Json labels = KeyLabels(entry.key);
  Json payload = {{"@type", "type.googleapis.com/google.cloud.audit.AuditLog"},
                  {"status", Json::object()},
                  {"authenticationInfo", {{"principalEmail", After(entry.principal, ':')}}},
                  {"requestMetadata", {{"callerIp", entry.source}}},
                  {"serviceName", entry.service},
                  {"methodName", entry.action},
                  {"resourceName", entry.key}};
  if (entry.outcome != "OK") payload["status"] = {{"code", entry.outcome}, {"message", entry.message}};
  const std::string project = labels.value("project_id", "");
  return {{"protoPayload", payload},
          {"insertId", entry.request_id},
          {"resource", {{"type", "cloudkms_cryptokey"}, {"labels", labels}}},
          {"timestamp", Time(entry, "%Y-%m-%dT%H:%M:%E3SZ")},
          {"severity", entry.outcome == "OK" ? "INFO" : "ERROR"},
          {"logName", absl::StrCat("projects/", project, "/logs/cloudaudit.googleapis.com%2Fdata_access")}};
}

Json KeyVaultRecord(const AccessEntry& entry) {
  const bool done = entry.outcome == "OK";
  return {{"time", Time(entry, "%Y-%m-%dT%H:%M:%E7SZ")},
          {"operationName", entry.action},
          {"category", "AuditEvent"},
          {"resultType", done ? "Success" : "Failed"},
          {"resultSignature", entry.outcome},
          {"resultDescription", entry.message},
          {"callerIpAddress", entry.source},
          {"correlationId", entry.request_id},
          {"identity", {{"claim", {{"oid", entry.principal}}}}},
          {"properties", {{"id", entry.key}, {"vault", entry.service}}}};
}

}  // namespace

Cloud CloudOf(const AccessEntry& entry) {
  if (absl::EndsWith(entry.service, ".googleapis.com")) return Cloud::kGcp;
  for (const char* suffix : {".azure.net", ".azure.com", ".microsoftonline.com"})
    if (absl::EndsWith(entry.service, suffix)) return Cloud::kAzure;
  return Cloud::kAws;
}

const char* CloudName(Cloud cloud) {
  return cloud == Cloud::kAws ? "AWS" : cloud == Cloud::kGcp ? "GCP" : "AZURE";
}

nlohmann::ordered_json AuditEvent(const AccessEntry& entry) {
  switch (CloudOf(entry)) {
    case Cloud::kGcp:
      return CloudAuditEntry(entry);
    case Cloud::kAzure:
      return KeyVaultRecord(entry);
    case Cloud::kAws:
      break;
  }
  return CloudTrailRecord(entry);
}

}  // namespace keyhold::localcloud
