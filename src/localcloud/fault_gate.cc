#include "localcloud/fault_gate.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/crc32c.h"
#include "localcloud/json.h"

namespace keyhold::localcloud {
namespace {

constexpr size_t kMostFaults = 1000;
constexpr size_t kOversizedBody = 4 << 20;
constexpr size_t kGarbageBody = 512;

std::string RandomBytes(crypto::Random& random, size_t size) {
  std::string bytes(size, '\0');
  random.Fill({reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()});
  return bytes;
}

// Where the three clouds' answers carry a secret or a ciphertext (AWS KMS, Cloud KMS, Key Vault).
struct SecretField {
  const char* name;
  const char* crc32c;  // of the bytes, beside it; null: there is none
  bool url_safe;
};
constexpr SecretField kSecretFields[] = {{"Plaintext", nullptr, false},
                                         {"CiphertextBlob", nullptr, false},
                                         {"plaintext", "plaintextCrc32c", false},
                                         {"ciphertext", "ciphertextCrc32c", false},
                                         {"value", nullptr, true}};
constexpr const char* kKeyFields[] = {"KeyId", "name", "kid"};

std::string* TextIn(Json& body, const char* name) {
  const auto found = body.find(name);
  return found == body.end() || !found->is_string() ? nullptr : found->get_ptr<std::string*>();
}

void ReplaceSecrets(Json& body, crypto::Random& random) {
  for (const SecretField& field : kSecretFields) {
    std::string* text = TextIn(body, field.name);
    if (text == nullptr) continue;
    std::string bytes;
    if (!(field.url_safe ? absl::WebSafeBase64Unescape(*text, &bytes) : absl::Base64Unescape(*text, &bytes)))
      continue;
    bytes = RandomBytes(random, bytes.size());
    *text = field.url_safe ? absl::WebSafeBase64Escape(bytes) : absl::Base64Escape(bytes);
    while (field.url_safe && !text->empty() && text->back() == '=') text->pop_back();
    if (field.crc32c != nullptr && body.contains(field.crc32c))
      body[field.crc32c] = absl::StrCat(Crc32c(crypto::AsBytes(bytes)));
  }
}

// Another key's name of the same form: letters and digits of its last part turn, versions stay.
void ReplaceKey(Json& body) {
  for (const char* field : kKeyFields) {
    std::string* text = TextIn(body, field);
    if (text == nullptr) continue;
    for (const std::string_view before : {":key/", "/cryptoKeys/", "/keys/"}) {
      const size_t found = text->find(before);
      if (found == std::string::npos) continue;
      for (size_t i = found + before.size(); i < text->size() && (*text)[i] != '/'; ++i)
        if ((*text)[i] != '-') (*text)[i] = (*text)[i] == '1' ? '2' : '1';
    }
  }
}

void Falsify(FaultKind kind, crypto::Random& random, std::string& text) {
  auto body = ParseJson(text);
  if (!body.ok() || !body->is_object()) return;
  if (kind == FaultKind::kWrongKey) {
    ReplaceKey(*body);
  } else {
    ReplaceSecrets(*body, random);
  }
  text = body->dump();
}

void Replace(HttpResponse& response, std::string body) {
  response.status = 200;
  response.body = std::move(body);
}

void DistortBody(FaultKind kind, crypto::Random& random, HttpResponse& response) {
  switch (kind) {
    case FaultKind::kGarbage:
      return Replace(response, RandomBytes(random, kGarbageBody));
    case FaultKind::kOversized:
      return Replace(response, std::string(kOversizedBody, ' '));
    case FaultKind::kWrongType:
      response.content_type = "text/html; charset=utf-8";
      return Replace(response, "<!DOCTYPE html><title>Sign in</title><p>Please sign in to the network.\n");
    case FaultKind::kWrongKey:
    case FaultKind::kWrongSecret:
      return Falsify(kind, random, response.body);
    default:
      return;
  }
}

Delivery DeliveryOf(FaultKind kind) {
  switch (kind) {
    case FaultKind::kUnreachable:
      return Delivery::kNone;
    case FaultKind::kHang:
      return Delivery::kHang;
    case FaultKind::kStall:
      return Delivery::kStall;
    case FaultKind::kTruncated:
      return Delivery::kCut;
    default:
      return Delivery::kWhole;
  }
}

}  // namespace

StatusOr<uint64_t> FaultGate::Add(const FaultOrder& order) {
  KEYHOLD_RETURN_IF_ERROR(CheckOrder(order));
  const std::lock_guard lock(mutex_);
  DropEnded();
  if (faults_.size() >= kMostFaults)
    return Error(Cause::kResourceExhausted, "there are 1,000 faults already; clear some");
  faults_.push_back({++last_id_, order, clock_.Now() + order.lasts});
  return last_id_;
}

std::vector<Fault> FaultGate::List() {
  const std::lock_guard lock(mutex_);
  DropEnded();
  return faults_;
}

Status FaultGate::Clear(uint64_t id) {
  const std::lock_guard lock(mutex_);
  DropEnded();
  if (std::erase_if(faults_, [&](const Fault& fault) { return fault.id == id; }) == 1) return OkStatus();
  return Error(Cause::kNotFound,
               absl::StrCat("there is no fault ", id, "; it may have ended: keyhold localcloud fault list"));
}

void FaultGate::ClearAll() {
  const std::lock_guard lock(mutex_);
  faults_.clear();
}

void FaultGate::DropEnded() {
  const absl::Time now = clock_.Now();
  std::erase_if(faults_, [&](const Fault& fault) {
    return fault.ends <= now || (fault.order.times != 0 && fault.hits >= fault.order.times);
  });
}

FaultHit FaultGate::Decide(AccessEntry& entry, bool served) {
  FaultHit hit;
  const std::lock_guard lock(mutex_);
  DropEnded();
  for (Fault& fault : faults_) {
    const FaultOrder& order = fault.order;
    const bool latency = order.kind == FaultKind::kLatency;
    if ((hit.kind && !latency) || !IsAbout(order, entry, served)) continue;
    if (++fault.matched % order.every != 0) continue;
    ++fault.hits;
    absl::StrAppend(&entry.fault, entry.fault.empty() ? "" : ", ", std::string(FaultName(order.kind)), " (",
                    fault.id, ")");
    hit.delay += order.delay;
    if (latency) continue;
    hit.kind = order.kind;
    hit.id = fault.id;
    hit.retry_after = order.retry_after;
  }
  return hit;
}

void Distort(const FaultHit& hit, crypto::Random& random, HttpResponse& response) {
  response.delay = hit.delay;
  if (!hit.kind) return;
  DistortBody(*hit.kind, random, response);
  response.delivery = DeliveryOf(*hit.kind);
  if (hit.retry_after == absl::InfiniteDuration()) return;
  // Whole seconds (RFC 9110 section 10.2.3).
  response.headers.emplace_back(
      "Retry-After", absl::StrCat(absl::ToInt64Seconds(absl::Ceil(hit.retry_after, absl::Seconds(1)))));
}

}  // namespace keyhold::localcloud
