#include "kms/gcp/identity.h"

#include <mutex>
#include <nlohmann/json.hpp>

#include "kms/file.h"
#include "kms/form.h"
#include "kms/gcp/errors.h"
#include "kms/gcp/names.h"
#include "kms/gcp/oauth.h"
#include "kms/secret_json.h"
#include "kms/text.h"

namespace keyhold::kms::gcp {
namespace {

constexpr std::string_view kFormType = "application/x-www-form-urlencoded";
constexpr std::string_view kMetadataPath = "/computeMetadata/v1/instance/service-accounts/default/";
constexpr std::string_view kUnknownAccount = "the platform's service account";

StatusOr<crypto::SecretBytes> ReadCredentials(Posix& posix, const std::string& path, std::string_view name) {
  auto text = ReadSecretFile(posix, path, kMaxCredentialsFile);
  if (text.ok()) return text;
  return Error(Cause::kKmsBadCredentials,
               StrCat({"the Google credentials file of ", name,
                       " cannot be used: ", std::string(text.status().message())}));
}

FailureReader Reading(Attempt attempt) {
  return [attempt = std::move(attempt)](const HttpResponse& response) {
    const Failure failure = ParseFailure(response);
    return ToStatus(failure, attempt, CauseOfFailure(failure));
  };
}

// A request to a token endpoint, in a form.
StatusOr<AccessToken> AskForToken(const Caller& caller, std::string_view host, std::string_view path,
                                  const crypto::SecretBytes& form, const std::string& who,
                                  absl::Duration budget) {
  Request request;
  request.host = std::string(host);
  request.path = std::string(path);
  request.content_type = std::string(kFormType);
  KEYHOLD_ASSIGN_OR_RETURN(const HttpResponse answer,
                           caller.Send(request, form, nullptr, StrCat({"a Google token for ", who}),
                                       Reading({"a token", request.host, who, ""}), budget));
  return ParseTokenAnswer(answer, caller.tools.clock.Now());
}

class FileIdentity final : public Identity {
 public:
  FileIdentity(std::string path, Posix& posix, const Caller& caller)
      : path_(std::move(path)), posix_(posix), caller_(caller) {}

  StatusOr<Token> Get(absl::Duration budget) override { return tokens_.Get(budget); }
  void Forget(const Token& token) override { tokens_.Forget(token); }

  std::string Email(absl::Duration) override {
    const auto file = Read();
    if (!file.ok()) return "";
    if (IsFederated(*file)) {
      const auto account = ParseFederatedAccount(file->Expose());
      return account.ok() ? account->service_account : "";
    }
    const auto key = ParseServiceAccountKey(file->Expose());
    return key.ok() ? key->email : "";
  }

 private:
  StatusOr<crypto::SecretBytes> Read() const {
    return ReadCredentials(posix_, path_, "GOOGLE_APPLICATION_CREDENTIALS");
  }

  static std::string TypeOf(const crypto::SecretBytes& file) {
    const auto json = ParseSecretJson(file.Expose(), "the file");
    if (!json.ok()) return "";
    const auto type = StringOf(*json, "type");
    return type.ok() ? std::string(*type) : "";
  }
  static bool IsFederated(const crypto::SecretBytes& file) { return TypeOf(file) == "external_account"; }

  StatusOr<AccessToken> Fetch(absl::Duration budget) const {
    KEYHOLD_ASSIGN_OR_RETURN(const crypto::SecretBytes file, Read());
    const std::string type = TypeOf(file);
    if (type == "external_account") return Exchange(file, budget);
    if (type == "service_account") return Assert(file, budget);
    return Error(Cause::kKmsBadCredentials,
                 StrCat({"the Google credentials file ", Quoted(path_), " is of the type ", Quoted(type),
                         "; give one of the type service_account or external_account"}));
  }

  StatusOr<AccessToken> Assert(const crypto::SecretBytes& file, absl::Duration budget) const {
    KEYHOLD_ASSIGN_OR_RETURN(const ServiceAccountKey key, ParseServiceAccountKey(file.Expose()));
    const std::string assertion = SignAssertion(key, kPlatformScope, caller_.tools.clock.Now());
    return AskForToken(
        caller_, kTokenHost, "/token",
        Form({{"grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"}, {"assertion", assertion}}),
        key.email, budget);
  }

  StatusOr<AccessToken> Exchange(const crypto::SecretBytes& file, absl::Duration budget) const {
    const absl::Time deadline = caller_.tools.clock.Now() + budget;
    KEYHOLD_ASSIGN_OR_RETURN(const FederatedAccount account, ParseFederatedAccount(file.Expose()));
    KEYHOLD_ASSIGN_OR_RETURN(const crypto::SecretBytes subject, SubjectToken(account));
    KEYHOLD_ASSIGN_OR_RETURN(
        AccessToken token,
        AskForToken(caller_, kStsHost, "/v1/token",
                    Form({{"grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"},
                          {"requested_token_type", "urn:ietf:params:oauth:token-type:access_token"},
                          {"scope", kPlatformScope},
                          {"audience", account.audience},
                          {"subject_token_type", account.subject_token_type},
                          {"subject_token", subject.ExposeText()}}),
                    account.audience, budget));
    if (account.service_account.empty()) return token;
    const auto shared = std::make_shared<const AccessToken>(std::move(token));
    CachedTokens federated([&](absl::Duration) { return Copy(*shared); }, caller_.tools.clock);
    return Impersonate(caller_, account.service_account, kPlatformScope, federated, account.audience,
                       deadline - caller_.tools.clock.Now());
  }

  static AccessToken Copy(const AccessToken& token) { return {token.value.Clone(), token.expires}; }

  StatusOr<crypto::SecretBytes> SubjectToken(const FederatedAccount& account) const {
    KEYHOLD_ASSIGN_OR_RETURN(const crypto::SecretBytes file,
                             ReadCredentials(posix_, account.token_file, "credential_source"));
    if (account.json_field.empty()) {
      return crypto::SecretBytes::CopyOf(crypto::AsBytes(Trim(file.ExposeText())));
    }
    const auto json = ParseSecretJson(file.Expose(), "the file");
    const auto text = json.ok() ? StringOf(*json, account.json_field.c_str()) : json.status();
    if (!text.ok()) {
      return Error(Cause::kKmsBadCredentials, StrCat({Quoted(account.token_file), " has no JSON field ",
                                                      Quoted(account.json_field), " with a token"}));
    }
    return crypto::SecretBytes::CopyOf(crypto::AsBytes(*text));
  }

  const std::string path_;
  Posix& posix_;
  const Caller caller_;
  CachedTokens tokens_{[this](absl::Duration budget) { return Fetch(budget); }, caller_.tools.clock};
};

// A token that somebody else renews: gcloud's own way for machines without an account.
class TokenFileIdentity final : public Identity {
 public:
  TokenFileIdentity(std::string path, Posix& posix) : path_(std::move(path)), posix_(posix) {}

  StatusOr<Token> Get(absl::Duration) override {
    KEYHOLD_ASSIGN_OR_RETURN(const crypto::SecretBytes file,
                             ReadCredentials(posix_, path_, "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"));
    const std::string_view token = Trim(file.ExposeText());
    if (token.empty()) return Error(Cause::kKmsBadCredentials, StrCat({Quoted(path_), " has no token"}));
    return std::make_shared<const AccessToken>(
        AccessToken{crypto::SecretBytes::CopyOf(crypto::AsBytes(token)), absl::InfiniteFuture()});
  }
  std::string Email(absl::Duration) override { return ""; }

 private:
  const std::string path_;
  Posix& posix_;
};

// https://cloud.google.com/compute/docs/access/authenticate-workloads
class MetadataIdentity final : public Identity {
 public:
  MetadataIdentity(bool allowed, const Caller& caller) : allowed_(allowed), caller_(caller) {}

  StatusOr<Token> Get(absl::Duration budget) override { return tokens_.Get(budget); }
  void Forget(const Token& token) override { tokens_.Forget(token); }

  std::string Email(absl::Duration budget) override {
    {
      const std::lock_guard lock(mutex_);
      if (!email_.empty()) return email_;
    }
    const auto answer = Ask("email", budget);
    if (!answer.ok()) return "";
    const std::string_view text = Trim(answer->body.ExposeText());
    if (!CheckServiceAccount(text).ok()) return "";
    const std::lock_guard lock(mutex_);
    return email_ = std::string(text);
  }

 private:
  StatusOr<HttpResponse> Ask(std::string_view what, absl::Duration budget) const {
    const Status none = Error(Cause::kKmsBadCredentials,
                              "there are no Google credentials; set GOOGLE_APPLICATION_CREDENTIALS to a "
                              "service account's key file");
    if (!allowed_) return none;
    Request request;
    request.method = "GET";
    request.host = std::string(kMetadataHosts[0]);
    request.path = StrCat({kMetadataPath, what});
    request.headers = {{"Metadata-Flavor", "Google"}};
    request.metadata = true;
    auto answer = caller_.Send(request, {}, nullptr, std::string(none.message()),
                               Reading({what == "email" ? "an address" : "a token", "the metadata server",
                                        std::string(kUnknownAccount), ""}),
                               budget);
    if (!answer.ok()) return answer;
    const auto flavor = answer->headers.find("metadata-flavor");
    if (flavor != answer->headers.end() && flavor->second == "Google") return answer;
    return Error(Cause::kKmsBadCredentials,
                 StrCat({std::string(none.message()), "; this machine's metadata server is not Google's"}));
  }

  StatusOr<AccessToken> Fetch(absl::Duration budget) const {
    KEYHOLD_ASSIGN_OR_RETURN(const HttpResponse answer, Ask("token", budget));
    return ParseTokenAnswer(answer, caller_.tools.clock.Now());
  }

  const bool allowed_;
  const Caller caller_;
  CachedTokens tokens_{[this](absl::Duration budget) { return Fetch(budget); }, caller_.tools.clock};
  std::mutex mutex_;
  std::string email_;  // guarded by mutex_; empty until the server told it
};

}  // namespace

std::unique_ptr<Identity> NewPlatformIdentity(const Environment& environment, Posix& posix,
                                              const Caller& caller) {
  const std::string file = Value(environment, "GOOGLE_APPLICATION_CREDENTIALS");
  if (!file.empty()) return std::make_unique<FileIdentity>(file, posix, caller);
  const std::string token = Value(environment, "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE");
  if (!token.empty()) return std::make_unique<TokenFileIdentity>(token, posix);
  return std::make_unique<MetadataIdentity>(Value(environment, "NO_GCE_CHECK") != "true", caller);
}

StatusOr<AccessToken> Impersonate(const Caller& caller, const std::string& account, std::string_view scope,
                                  TokenSource& source, const std::string& source_name,
                                  absl::Duration budget) {
  const std::string who = source_name.empty() ? std::string(kUnknownAccount) : source_name;
  const std::string member =
      source_name.empty() ? "serviceAccount:PLATFORM-ACCOUNT" : StrCat({"serviceAccount:", source_name});
  Request request;
  request.host = std::string(kIamHost);
  request.path = StrCat({"/v1/projects/-/serviceAccounts/", account, ":generateAccessToken"});
  const nlohmann::json body = {{"scope", {std::string(scope)}}, {"lifetime", "3600s"}};
  const std::string action = "iam.serviceAccounts.getAccessToken";
  KEYHOLD_ASSIGN_OR_RETURN(
      const HttpResponse answer,
      caller.Send(request, crypto::SecretBytes::CopyOf(crypto::AsBytes(body.dump())), &source,
                  StrCat({action, " on ", account}),
                  Reading({action, account, who,
                           StrCat({"gcloud iam service-accounts add-iam-policy-binding ", account,
                                   " --member ", member, " --role roles/iam.serviceAccountTokenCreator"})}),
                  budget));
  return ParseGeneratedToken(answer);
}

}  // namespace keyhold::kms::gcp
