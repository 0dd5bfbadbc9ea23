#include "kms/aws/metadata.h"

#include "base/text.h"
#include "kms/file.h"
#include "kms/secret_json.h"
#include "kms/text.h"

namespace keyhold::kms::aws {
namespace {

constexpr std::string_view kInstanceHost = kMetadataHosts[0];
constexpr std::string_view kContainerHost = kMetadataHosts[2];
constexpr std::string_view kPodHost = kMetadataHosts[3];
constexpr std::string_view kRolePath = "/latest/meta-data/iam/security-credentials/";
constexpr absl::Duration kTimeout =
    absl::Seconds(2);  // a link-local service answers at once, or is not there
constexpr size_t kMaxTokenFile = 16 << 10;

Status None(std::string_view why) { return Error(Cause::kKmsBadCredentials, why); }

// A path of visible ASCII: nothing in it ends the request line.
bool IsPath(std::string_view path) { return path.starts_with('/') && IsVisibleAscii(path); }

StatusOr<std::shared_ptr<const AwsCredentials>> Parse(const HttpResponse& answer, std::string_view whose) {
  KEYHOLD_ASSIGN_OR_RETURN(const SecretJson json, ParseSecretJson(answer.body.Expose(), whose));
  if (const std::string code = FieldText(json, "Code", "Success"); code != "Success") {
    return None(StrCat(
        {whose, " gives no credentials: ", Printable(code), " ", Printable(FieldText(json, "Message"))}));
  }
  auto made = std::make_shared<AwsCredentials>();
  KEYHOLD_ASSIGN_OR_RETURN(const std::string_view id, StringOf(json, "AccessKeyId"));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string_view secret, StringOf(json, "SecretAccessKey"));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string_view token, StringOf(json, "Token"));
  made->access_key_id = std::string(id);
  made->secret_access_key = crypto::SecretBytes::CopyOf(crypto::AsBytes(secret));
  made->session_token = crypto::SecretBytes::CopyOf(crypto::AsBytes(token));
  std::string problem;
  if (!absl::ParseTime(absl::RFC3339_full, FieldText(json, "Expiration"), &made->expires, &problem)) {
    return Error(Cause::kKmsCorrupt, StrCat({whose, " says no time at which its credentials end"}));
  }
  return std::shared_ptr<const AwsCredentials>(std::move(made));
}

StatusOr<HttpResponse> Once(const Caller& caller, HttpRequest request, absl::Duration budget,
                            std::string_view whose) {
  request.metadata = true;
  request.timeout = std::min(budget, kTimeout);
  auto answer = caller.http.Send(request);
  if (!answer.ok() || answer->status == 200) return answer;
  const std::string status = std::to_string(answer->status);
  if (answer->status == 429 || answer->status >= 500) {
    return Error(Cause::kKmsUnreachable, StrCat({whose, " answered ", status}));
  }
  return None(StrCat({whose, " refused with ", status}));
}

// What AWS_CONTAINER_CREDENTIALS_* name.
StatusOr<HttpRequest> ContainerRequest(const Environment& environment) {
  HttpRequest request;
  request.method = "GET";
  request.host = std::string(kContainerHost);
  request.path = Value(environment, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  if (request.path.empty()) {
    const std::string url = Value(environment, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    for (const std::string_view host : {kContainerHost, kPodHost}) {
      const std::string start = StrCat({"http://", host});
      if (!url.starts_with(start + "/")) continue;
      request.host = std::string(host);
      request.path = url.substr(start.size());
    }
  }
  if (IsPath(request.path)) return request;
  return None(
      "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI must be a path, AWS_CONTAINER_CREDENTIALS_FULL_URI an http URL "
      "at "
      "169.254.170.2 or 169.254.170.23");
}

StatusOr<crypto::SecretBytes> ContainerToken(const Environment& environment, Posix& posix) {
  const std::string path = Value(environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
  const std::string token = Value(environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
  if (path.empty()) return crypto::SecretBytes::CopyOf(crypto::AsBytes(token));
  const auto file = ReadSecretFile(posix, path, kMaxTokenFile);
  if (file.ok()) return crypto::SecretBytes::CopyOf(crypto::AsBytes(Trim(file->ExposeText())));
  return None(StrCat(
      {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE cannot be used: ", std::string(file.status().message())}));
}

}  // namespace

bool HasContainer(const Environment& environment) {
  return !Value(environment, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").empty() ||
         !Value(environment, "AWS_CONTAINER_CREDENTIALS_FULL_URI").empty();
}

FetchedCredentials AskContainer(const Environment& environment, Posix& posix, const Caller& caller,
                                absl::Duration budget) {
  constexpr std::string_view kWhose = "the container's credential service";
  KEYHOLD_ASSIGN_OR_RETURN(HttpRequest request, ContainerRequest(environment));
  KEYHOLD_ASSIGN_OR_RETURN(crypto::SecretBytes token, ContainerToken(environment, posix));
  if (!token.empty()) {
    request.secret_headers["Authorization"] = std::make_shared<const crypto::SecretBytes>(std::move(token));
  }
  KEYHOLD_ASSIGN_OR_RETURN(const HttpResponse answer, Once(caller, std::move(request), budget, kWhose));
  return Parse(answer, kWhose);
}

StatusOr<HttpResponse> InstanceMetadata::Send(HttpRequest request, absl::Duration budget) const {
  request.host = std::string(kInstanceHost);
  return Once(caller_, std::move(request), budget, "the instance metadata service");
}

FetchedCredentials InstanceMetadata::Ask(absl::Duration budget) {
  const absl::Time deadline = caller_.tools.clock.Now() + budget;
  const auto left = [&] { return deadline - caller_.tools.clock.Now(); };
  HttpRequest session;
  session.method = "PUT";
  session.path = "/latest/api/token";
  session.headers["X-aws-ec2-metadata-token-ttl-seconds"] = "60";
  const auto token = Send(std::move(session), budget);
  if (!token.ok() && !answered_) {
    return None(
        StrCat({"there are no AWS credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
                "AWS_SHARED_CREDENTIALS_FILE, or run on an EC2 instance with a role (",
                std::string(token.status().message()), ")"}));
  }
  KEYHOLD_RETURN_IF_ERROR(token.status());
  answered_ = true;
  const auto shared = std::make_shared<const crypto::SecretBytes>(token->body.Clone());
  const auto get = [&](std::string path) {
    HttpRequest request;
    request.method = "GET";
    request.path = std::move(path);
    request.secret_headers["X-aws-ec2-metadata-token"] = shared;
    return Send(std::move(request), left());
  };
  KEYHOLD_ASSIGN_OR_RETURN(const HttpResponse roles, get(std::string(kRolePath)));
  const std::string_view all = roles.body.ExposeText();
  const std::string_view role = Trim(all.substr(0, all.find('\n')));
  if (role.empty() || !IsPath(StrCat({"/", role}))) {
    return None("this EC2 instance has no role; attach an instance profile");
  }
  KEYHOLD_ASSIGN_OR_RETURN(const HttpResponse answer, get(StrCat({kRolePath, role})));
  return Parse(answer, "the instance metadata service");
}

}  // namespace keyhold::kms::aws
