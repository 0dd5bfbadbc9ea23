#include "kms/aws/sts.h"

#include <algorithm>
#include <array>

#include "kms/aws/arn.h"
#include "kms/form.h"
#include "kms/text.h"

namespace keyhold::kms::aws {
namespace {

constexpr std::string_view kSessionName = "keyhold";
constexpr std::string_view kVersion = "2011-06-15";

Status NotUnderstood(std::string_view what) {
  return Error(Cause::kKmsCorrupt, StrCat({"AWS STS answered something that is not understood: ", what}));
}

struct Entity {
  std::string_view name;
  char character;
};
constexpr std::array kEntities = {Entity{"&amp;", '&'}, Entity{"&lt;", '<'}, Entity{"&gt;", '>'},
                                  Entity{"&quot;", '"'}, Entity{"&apos;", '\''}};

StatusOr<crypto::SecretBytes> DecodeEntities(std::string_view text) {
  crypto::SecretBytes decoded(text.size());
  size_t size = 0;
  while (!text.empty()) {
    char c = text.front();
    size_t used = 1;
    if (c == '&') {
      const auto* entity = std::find_if(kEntities.begin(), kEntities.end(),
                                        [&](const Entity& e) { return text.starts_with(e.name); });
      if (entity == kEntities.end()) return NotUnderstood("an XML entity");
      c = entity->character;
      used = entity->name.size();
    }
    decoded.ExposeMutable()[size++] = static_cast<uint8_t>(c);
    text.remove_prefix(used);
  }
  return crypto::SecretBytes::CopyOf(decoded.Expose().first(size));
}

std::string TextOr(std::string_view xml, std::string_view name) {
  const auto text = XmlText(xml, name);
  return text.ok() ? std::string(text->ExposeText()) : std::string();
}

Failure ParseFailure(const HttpResponse& response) {
  const std::string_view xml = response.body.ExposeText();
  return {response.status, TextOr(xml, "Code"), TextOr(xml, "Message")};
}

std::vector<std::pair<std::string_view, std::string_view>> FieldsFor(std::string_view action,
                                                                     const Role& role) {
  return {{"Action", action},
          {"Version", kVersion},
          {"RoleArn", role.arn},
          {"RoleSessionName", role.session.empty() ? kSessionName : role.session}};
}

StatusOr<std::shared_ptr<const AwsCredentials>> ParseCredentials(const HttpResponse& answer) {
  const std::string_view xml = answer.body.ExposeText();
  KEYHOLD_ASSIGN_OR_RETURN(const crypto::SecretBytes id, XmlText(xml, "AccessKeyId"));
  KEYHOLD_ASSIGN_OR_RETURN(const crypto::SecretBytes expires, XmlText(xml, "Expiration"));
  auto credentials = std::make_shared<AwsCredentials>();
  credentials->access_key_id = std::string(id.ExposeText());
  KEYHOLD_ASSIGN_OR_RETURN(credentials->secret_access_key, XmlText(xml, "SecretAccessKey"));
  KEYHOLD_ASSIGN_OR_RETURN(credentials->session_token, XmlText(xml, "SessionToken"));
  std::string problem;
  if (!absl::ParseTime(absl::RFC3339_full, std::string(expires.ExposeText()), &credentials->expires,
                       &problem)) {
    return NotUnderstood(StrCat({"Expiration: ", problem}));
  }
  return std::shared_ptr<const AwsCredentials>(std::move(credentials));
}

// For requests whose body says who asks.
class Unsigned final : public AwsCredentialSource {
 public:
  StatusOr<std::shared_ptr<const AwsCredentials>> Get(absl::Duration) override { return nullptr; }
};

}  // namespace

StatusOr<crypto::SecretBytes> XmlText(std::string_view xml, std::string_view name) {
  const std::string open = StrCat({"<", name, ">"});
  const std::string close = StrCat({"</", name, ">"});
  const size_t start = xml.find(open);
  if (start == std::string_view::npos) return NotUnderstood(StrCat({"no element ", name}));
  const std::string_view rest = xml.substr(start + open.size());
  const size_t end = rest.find(close);
  const std::string_view text = rest.substr(0, end);
  if (end == std::string_view::npos || text.find('<') != std::string_view::npos ||
      rest.find(open) != std::string_view::npos) {
    return NotUnderstood(StrCat({"the element ", name}));
  }
  return DecodeEntities(text);
}

StatusOr<Sts> Sts::In(const Caller& caller, const std::string& partition, const std::string& region) {
  KEYHOLD_ASSIGN_OR_RETURN(const std::string host, caller.endpoints.Host("sts", partition, region));
  return Sts(caller, host, region);
}

Sts::Sts(const Caller& caller, const std::string& host, const std::string& region)
    : caller_(caller),
      endpoint_{host, region, "sts", "application/x-www-form-urlencoded; charset=utf-8", {}} {}

StatusOr<HttpResponse> Sts::Call(const crypto::SecretBytes& form, AwsCredentialSource& source,
                                 const Attempt& attempt, absl::Duration budget) const {
  const auto read_failure = [&](const HttpResponse& response) {
    const Failure failure = ParseFailure(response);
    return ToStatus(failure, attempt, CauseOfFailure(failure));
  };
  return caller_.Send(endpoint_, form, source, attempt.action, read_failure, budget);
}

StatusOr<std::string> Sts::CallerArn(AwsCredentialSource& source, absl::Duration budget) const {
  KEYHOLD_ASSIGN_OR_RETURN(
      const HttpResponse answer,
      Call(Form({{"Action", "GetCallerIdentity"}, {"Version", kVersion}}), source,
           {"sts:GetCallerIdentity", endpoint_.host, "the platform's principal"}, budget));
  KEYHOLD_ASSIGN_OR_RETURN(const crypto::SecretBytes arn, XmlText(answer.body.ExposeText(), "Arn"));
  return std::string(arn.ExposeText());
}

StatusOr<std::shared_ptr<const AwsCredentials>> Sts::AssumeRole(const Role& role, AwsCredentialSource& source,
                                                                absl::Duration budget) const {
  std::vector<std::pair<std::string_view, std::string_view>> fields = FieldsFor("AssumeRole", role);
  if (!role.external_id.empty()) fields.emplace_back("ExternalId", role.external_id);
  KEYHOLD_ASSIGN_OR_RETURN(
      const HttpResponse answer,
      Call(Form(fields), source, {"sts:AssumeRole", role.arn, "the platform's principal"}, budget));
  return ParseCredentials(answer);
}

StatusOr<std::shared_ptr<const AwsCredentials>> Sts::AssumeRoleWithWebIdentity(const Role& role,
                                                                               std::string_view token,
                                                                               absl::Duration budget) const {
  std::vector<std::pair<std::string_view, std::string_view>> fields =
      FieldsFor("AssumeRoleWithWebIdentity", role);
  fields.emplace_back("WebIdentityToken", token);
  Unsigned nobody;
  KEYHOLD_ASSIGN_OR_RETURN(
      const HttpResponse answer,
      Call(Form(fields), nobody, {"sts:AssumeRoleWithWebIdentity", role.arn, "the web identity"}, budget));
  return ParseCredentials(answer);
}

}  // namespace keyhold::kms::aws
