#include "localcloud/fault.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "localcloud/audit_event.h"
#include "localcloud/json.h"

namespace keyhold::localcloud {
namespace {

struct Kind {
  FaultKind kind;
  std::string_view name;
  std::string_view meaning;
  bool refuses;
};

constexpr Kind kKinds[] = {
    {FaultKind::kLatency, "latency", "answers, --delay later", false},
    {FaultKind::kUnreachable, "unreachable", "closes the connection without an answer", true},
    {FaultKind::kHang, "hang", "never answers, and keeps the connection open", true},
    {FaultKind::kStall, "stall", "sends half of the answer, then nothing more", false},
    {FaultKind::kTruncated, "truncated", "sends half of the answer, then closes the connection", false},
    {FaultKind::kThrottled, "throttled", "refuses as the cloud does when there are too many requests", true},
    {FaultKind::kUnavailable, "unavailable", "answers 503, as the cloud does", true},
    {FaultKind::kDenied, "denied", "refuses as the cloud does who may not", true},
    {FaultKind::kGarbage, "garbage", "answers 200 with bytes that mean nothing", false},
    {FaultKind::kOversized, "oversized", "answers 200 with 4 MiB", false},
    {FaultKind::kWrongType, "wrong-type", "answers 200 with a page of HTML", false},
    {FaultKind::kWrongKey, "wrong-key", "answers well-formed, for another key", false},
    {FaultKind::kWrongSecret, "wrong-secret", "answers well-formed, with another plaintext or ciphertext",
     false}};

constexpr std::array<const char*, 3> kScopes = {"keys", "identity", "all"};
constexpr std::array<const char*, 3> kClouds = {"AWS", "GCP", "AZURE"};

const Kind& Find(FaultKind kind) {
  return *std::find_if(std::begin(kKinds), std::end(kKinds),
                       [&](const Kind& known) { return known.kind == kind; });
}

bool IsKeyService(const AccessEntry& entry) {
  return absl::StartsWith(entry.service, "kms") || absl::StartsWith(entry.service, "cloudkms.") ||
         absl::EndsWith(entry.service, ".vault.azure.net");
}

// What carries a secret in or out, by the ends of the actions' names in the three clouds.
bool CarriesSecret(const AccessEntry& entry) {
  for (const char* end : {"Encrypt", "Decrypt", "Wrap", "Unwrap", "GenerateDataKey"})
    if (absl::EndsWith(entry.action, end)) return true;
  return false;
}

// Google's Decrypt names no key.
bool NamesKey(const AccessEntry& entry) {
  return CarriesSecret(entry) && !(CloudOf(entry) == Cloud::kGcp && entry.action == "Decrypt");
}

Status Invalid(const std::string& message) { return Error(Cause::kInvalidArgument, message); }

// Durations travel as text, "30s"; none where it has its `absent` value.
void Put(nlohmann::json& json, const char* name, absl::Duration value, absl::Duration absent) {
  if (value != absent) json[name] = absl::FormatDuration(value);
}

// Takes members out of an object, one by one; what is left at the end is unknown.
class Members {
 public:
  explicit Members(const nlohmann::json& json) : json_(json) {
    if (!json_.is_object()) status_ = Invalid("a fault is a JSON object");
  }

  std::string Text(const char* name, const std::string& absent = "") {
    const nlohmann::json value = Take(name);
    if (value.is_string()) return value.get<std::string>();
    return value.is_null() ? absent : (Refuse(name), absent);
  }
  uint64_t Number(const char* name, uint64_t absent) {
    const nlohmann::json value = Take(name);
    if (value.is_number_unsigned()) return value.get<uint64_t>();
    return value.is_null() ? absent : (Refuse(name), absent);
  }
  absl::Duration Duration(const char* name, absl::Duration absent) {
    const std::string text = Text(name);
    absl::Duration value = absent;
    if (!text.empty() && !absl::ParseDuration(text, &value)) Refuse(name);
    return value;
  }
  nlohmann::json Take(const char* name) {
    const auto found = json_.is_object() ? json_.find(name) : json_.end();
    if (found == json_.end()) return nullptr;
    nlohmann::json value = *found;
    json_.erase(found);
    return value;
  }
  void Refuse(const char* name) {
    status_ = Invalid(absl::StrCat("the member '", name, "' of a fault is not valid"));
  }

  Status Done() {
    if (status_.ok() && !json_.empty()) Refuse(json_.begin().key().c_str());
    return status_;
  }

 private:
  nlohmann::json json_;
  Status status_;
};

FaultScope ScopeFrom(Members& members) {
  const std::string name = members.Text("scope", kScopes[0]);
  const auto* found = std::find(kScopes.begin(), kScopes.end(), name);
  if (found != kScopes.end()) return static_cast<FaultScope>(found - kScopes.begin());
  members.Refuse("scope");
  return FaultScope::kKeys;
}

}  // namespace

std::string_view FaultName(FaultKind kind) { return Find(kind).name; }
std::string_view FaultMeaning(FaultKind kind) { return Find(kind).meaning; }
bool Refuses(FaultKind kind) { return Find(kind).refuses; }

std::vector<FaultKind> AllFaults() {
  std::vector<FaultKind> all;
  for (const Kind& kind : kKinds) all.push_back(kind.kind);
  return all;
}

StatusOr<FaultKind> FaultFromName(std::string_view name) {
  for (const Kind& kind : kKinds)
    if (kind.name == name) return kind.kind;
  return Invalid(absl::StrCat("'", std::string(name),
                              "' is no kind of fault; keyhold localcloud fault add --help lists them"));
}

Status CheckOrder(const FaultOrder& order) {
  const bool latency = order.kind == FaultKind::kLatency;
  const bool retries = order.kind == FaultKind::kThrottled || order.kind == FaultKind::kUnavailable;
  const bool asks = order.retry_after != absl::InfiniteDuration();
  if (!order.cloud.empty() && std::find(kClouds.begin(), kClouds.end(), order.cloud) == kClouds.end())
    return Invalid("the cloud is AWS, GCP or AZURE");
  if (latency && order.delay <= absl::ZeroDuration()) return Invalid("latency needs --delay, such as 500ms");
  if (!latency && order.delay != absl::ZeroDuration()) return Invalid("--delay is for latency");
  if (asks && !retries) return Invalid("--retry-after is for throttled and unavailable");
  if (order.retry_after < absl::ZeroDuration()) return Invalid("--retry-after is a time from now on");
  if (order.delay > absl::Hours(1)) return Invalid("--delay is an hour at most");
  if (order.every == 0) return Invalid("--every is 1 or more");
  if (order.lasts <= absl::ZeroDuration()) return Invalid("--for is a time from now on, such as 30s");
  return OkStatus();
}

bool IsAbout(const FaultOrder& order, const AccessEntry& entry, bool served) {
  const bool keys = IsKeyService(entry);
  if (order.scope != FaultScope::kAll && (order.scope == FaultScope::kKeys) != keys) return false;
  if (!order.cloud.empty() && order.cloud != CloudName(CloudOf(entry))) return false;
  if (!absl::StrContains(entry.key, order.key) || !absl::StrContains(entry.principal, order.caller) ||
      !absl::StrContains(entry.action, order.action)) {
    return false;
  }
  if (order.kind == FaultKind::kWrongKey) return served && NamesKey(entry);
  return order.kind != FaultKind::kWrongSecret || (served && CarriesSecret(entry));
}

std::string Describe(const FaultOrder& order) {
  std::string text(FaultName(order.kind));
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) absl::StrAppend(&text, " --", name, " ", value);
  };
  add("delay", order.delay == absl::ZeroDuration() ? "" : absl::FormatDuration(order.delay));
  add("retry-after",
      order.retry_after == absl::InfiniteDuration() ? "" : absl::FormatDuration(order.retry_after));
  add("scope", order.scope == FaultScope::kKeys ? "" : kScopes[static_cast<size_t>(order.scope)]);
  add("cloud", order.cloud);
  add("key", order.key);
  add("caller", order.caller);
  add("action", order.action);
  add("every", order.every == 1 ? "" : absl::StrCat(order.every));
  add("times", order.times == 0 ? "" : absl::StrCat(order.times));
  add("for", order.lasts == absl::InfiniteDuration() ? "" : absl::FormatDuration(order.lasts));
  return text;
}

nlohmann::json ToJson(const FaultOrder& order) {
  nlohmann::json json = {
      {"kind", FaultName(order.kind)}, {"scope", kScopes[static_cast<size_t>(order.scope)]},
      {"cloud", order.cloud},          {"key", order.key},
      {"caller", order.caller},        {"action", order.action},
      {"every", order.every},          {"times", order.times}};
  Put(json, "for", order.lasts, absl::InfiniteDuration());
  Put(json, "delay", order.delay, absl::ZeroDuration());
  Put(json, "retry_after", order.retry_after, absl::InfiniteDuration());
  return json;
}

StatusOr<FaultOrder> OrderFromJson(const nlohmann::json& json) {
  Members members(json);
  FaultOrder order;
  KEYHOLD_ASSIGN_OR_RETURN(order.kind, FaultFromName(members.Text("kind")));
  order.scope = ScopeFrom(members);
  order.cloud = members.Text("cloud");
  order.key = members.Text("key");
  order.caller = members.Text("caller");
  order.action = members.Text("action");
  order.every = members.Number("every", order.every);
  order.times = members.Number("times", order.times);
  order.lasts = members.Duration("for", order.lasts);
  order.delay = members.Duration("delay", order.delay);
  order.retry_after = members.Duration("retry_after", order.retry_after);
  KEYHOLD_RETURN_IF_ERROR(members.Done());
  KEYHOLD_RETURN_IF_ERROR(CheckOrder(order));
  return order;
}

nlohmann::json ToJson(const Fault& fault) {
  nlohmann::json json = {
      {"id", fault.id}, {"order", ToJson(fault.order)}, {"matched", fault.matched}, {"hits", fault.hits}};
  if (fault.ends != absl::InfiniteFuture())
    json["ends"] = absl::FormatTime(absl::RFC3339_full, fault.ends, absl::UTCTimeZone());
  return json;
}

StatusOr<Fault> FaultFromJson(const nlohmann::json& json) {
  Members members(json);
  Fault fault;
  fault.id = members.Number("id", 0);
  fault.matched = members.Number("matched", 0);
  fault.hits = members.Number("hits", 0);
  const std::string ends = members.Text("ends");
  if (!ends.empty() && !absl::ParseTime(absl::RFC3339_full, ends, &fault.ends, nullptr))
    members.Refuse("ends");
  KEYHOLD_ASSIGN_OR_RETURN(fault.order, OrderFromJson(members.Take("order")));
  KEYHOLD_RETURN_IF_ERROR(members.Done());
  return fault;
}

}  // namespace keyhold::localcloud
