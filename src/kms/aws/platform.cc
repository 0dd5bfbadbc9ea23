#include "kms/aws/platform.h"

#include "base/text.h"
#include "kms/aws/arn.h"
#include "kms/aws/metadata.h"
#include "kms/aws/profile.h"
#include "kms/aws/sts.h"
#include "kms/file.h"
#include "kms/renewing.h"
#include "kms/text.h"

namespace keyhold::kms::aws {
namespace {

using Credentials = std::shared_ptr<const AwsCredentials>;

constexpr absl::Duration kRenewBefore = absl::Minutes(4);  // EC2 has the next ones five minutes before
constexpr int kLongestChain = 5;                           // of profiles that name each other
constexpr size_t kMaxTokenFile = 64 << 10;

Status Missing(std::string_view what) { return Error(Cause::kKmsBadCredentials, what); }

// A value goes into a header line: nothing in it may end that line.
StatusOr<Credentials> Make(std::string_view id, std::string_view secret, std::string_view token,
                           std::string_view where) {
  if (id.empty() || secret.empty()) {
    return Missing(StrCat({where, " has an access key id without its secret or the reverse; set both"}));
  }
  if (!IsVisibleAscii(id) || !IsVisibleAscii(secret) || !IsVisibleAscii(token)) {
    return Missing(StrCat({where, " has blanks or unprintable characters in an AWS credential"}));
  }
  auto made = std::make_shared<AwsCredentials>();
  made->access_key_id = std::string(id);
  made->secret_access_key = crypto::SecretBytes::CopyOf(crypto::AsBytes(secret));
  made->session_token = crypto::SecretBytes::CopyOf(crypto::AsBytes(token));
  return Credentials(std::move(made));
}

class Fixed final : public AwsCredentialSource {
 public:
  explicit Fixed(Credentials credentials) : credentials_(std::move(credentials)) {}
  StatusOr<Credentials> Get(absl::Duration) override { return credentials_; }

 private:
  const Credentials credentials_;
};

// A role that the platform itself is refused is ours to repair: it is not the customer's word, which locks a
// node.
StatusOr<Credentials> AsOurs(StatusOr<Credentials> got) {
  if (got.ok() || CauseOf(got.status()) != Cause::kKmsDenied) return got;
  return Missing(std::string(got.status().message()));
}

bool HasKeys(const Profile& profile) {
  return !profile.Setting("aws_access_key_id").empty() || !profile.secret_access_key.empty();
}

class PlatformCredentials final : public AwsCredentialSource {
 public:
  PlatformCredentials(const Environment& environment, Posix& posix, const Caller& caller)
      : environment_(environment),
        posix_(posix),
        caller_(caller),
        files_(environment, posix),
        instance_(caller) {}

  StatusOr<Credentials> Get(absl::Duration budget) override {
    if (HasVariables()) return FromVariables();
    if (!Env("AWS_WEB_IDENTITY_TOKEN_FILE").empty()) return ending_.Get(budget);
    KEYHOLD_ASSIGN_OR_RETURN(const auto profile, TheProfile());
    // Keys in a file have no end: they are good until the file says others.
    if (profile && profile->Setting("role_arn").empty() && HasKeys(*profile)) return KeysOf(*profile);
    return ending_.Get(budget);
  }

 private:
  std::string Env(const char* name) const { return Value(environment_, name); }
  std::string ProfileName() const { return Env("AWS_PROFILE").empty() ? "default" : Env("AWS_PROFILE"); }
  std::string Where(const std::string& profile) const {
    return StrCat({"the profile ", Quoted(profile), " in ", Quoted(files_.where())});
  }

  // One without the other is a mistake to tell, not a reason to fall back to another principal.
  bool HasVariables() const {
    return !Env("AWS_ACCESS_KEY_ID").empty() || !Env("AWS_SECRET_ACCESS_KEY").empty();
  }
  StatusOr<Credentials> FromVariables() const {
    return Make(Env("AWS_ACCESS_KEY_ID"), Env("AWS_SECRET_ACCESS_KEY"), Env("AWS_SESSION_TOKEN"),
                "the environment");
  }

  StatusOr<Credentials> KeysOf(const Profile& profile) const {
    return Make(profile.Setting("aws_access_key_id"), profile.secret_access_key.ExposeText(),
                profile.session_token.ExposeText(), Where(profile.name));
  }

  StatusOr<std::optional<Profile>> TheProfile() const {
    auto profile = files_.Find(ProfileName());
    const bool meant = !Env("AWS_PROFILE").empty() || files_.named();
    if (profile.ok() && !profile->has_value() && meant)
      return Missing(Where(ProfileName()) + " does not exist");
    return profile;
  }

  // Of all that ends.
  StatusOr<Credentials> Fetch(absl::Duration budget) {
    const std::string token_file = Env("AWS_WEB_IDENTITY_TOKEN_FILE");
    if (!token_file.empty()) {
      return ByWebIdentity({Env("AWS_ROLE_ARN"), "", Env("AWS_ROLE_SESSION_NAME")}, token_file, "",
                           "AWS_ROLE_ARN", budget);
    }
    KEYHOLD_ASSIGN_OR_RETURN(const auto profile, TheProfile());
    if (profile) {
      for (const char* setting : {"credential_process", "sso_session", "sso_start_url"}) {
        if (!profile->Setting(setting).empty()) {
          return Error(Cause::kUnimplemented,
                       StrCat({Where(profile->name), " has ", setting, ", which a service cannot use; ",
                               "give keys, or a role with source_profile or credential_source"}));
        }
      }
      if (!profile->Setting("role_arn").empty()) return ByProfile(*profile, budget, kLongestChain);
      if (files_.named() || !Env("AWS_PROFILE").empty())
        return Missing(Where(profile->name) + " has no credentials");
    }
    if (HasContainer(environment_)) return AskContainer(environment_, posix_, caller_, budget);
    return FromInstance(budget);
  }

  StatusOr<Credentials> FromInstance(absl::Duration budget) {
    if (Env("AWS_EC2_METADATA_DISABLED") == "true") {
      return Missing(
          "there are no AWS credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
          "AWS_SHARED_CREDENTIALS_FILE");
    }
    return instance_.Ask(budget);
  }

  // The credentials of a profile, which may be those of a role that another profile's may take on.
  StatusOr<Credentials> ByProfile(const Profile& profile, absl::Duration budget, int links_left) {
    const absl::Time deadline = caller_.tools.clock.Now() + budget;
    if (links_left == 0)
      return Missing(Where(profile.name) + " is in a chain of source profiles that does not end");
    const Role role{profile.Setting("role_arn"), profile.Setting("external_id"),
                    profile.Setting("role_session_name")};
    if (role.arn.empty()) return KeysOf(profile);
    const std::string region = profile.Setting("region");
    const std::string token_file = profile.Setting("web_identity_token_file");
    if (!token_file.empty()) return ByWebIdentity(role, token_file, region, Where(profile.name), budget);
    KEYHOLD_ASSIGN_OR_RETURN(Credentials source, SourceOf(profile, budget, links_left));
    KEYHOLD_ASSIGN_OR_RETURN(const Sts sts, StsFor(role, region, Where(profile.name)));
    Fixed fixed(std::move(source));
    return sts.AssumeRole(role, fixed, deadline - caller_.tools.clock.Now());
  }

  StatusOr<Credentials> SourceOf(const Profile& profile, absl::Duration budget, int links_left) {
    const std::string source = profile.Setting("source_profile");
    if (source == profile.name && HasKeys(profile)) return KeysOf(profile);
    if (!source.empty()) {
      KEYHOLD_ASSIGN_OR_RETURN(const auto next, files_.Find(source));
      if (!next)
        return Missing(Where(source) + " does not exist, and " + Where(profile.name) + " is based on it");
      return ByProfile(*next, budget, links_left - 1);
    }
    const std::string kind = profile.Setting("credential_source");
    if (kind == "Environment") return FromVariables();
    if (kind == "EcsContainer") return AskContainer(environment_, posix_, caller_, budget);
    if (kind == "Ec2InstanceMetadata") return FromInstance(budget);
    return Missing(
        Where(profile.name) +
        " has a role_arn; give it a source_profile, a credential_source (Environment, EcsContainer, "
        "Ec2InstanceMetadata) or a web_identity_token_file");
  }

  StatusOr<Credentials> ByWebIdentity(const Role& role, const std::string& token_file,
                                      const std::string& region, const std::string& where,
                                      absl::Duration budget) {
    KEYHOLD_ASSIGN_OR_RETURN(const Sts sts, StsFor(role, region, where));
    const auto token = ReadSecretFile(posix_, token_file, kMaxTokenFile);
    if (!token.ok()) {
      return Missing(StrCat({"the web identity token ", Quoted(token_file),
                             " cannot be used: ", std::string(token.status().message())}));
    }
    return sts.AssumeRoleWithWebIdentity(role, Trim(token->ExposeText()), budget);
  }

  StatusOr<Sts> StsFor(const Role& role, const std::string& profile_region, const std::string& where) const {
    const auto arn = ParsePrincipalArn(role.arn);
    if (!arn.ok() || !arn->is_role)
      return Missing(StrCat({where, ": ", Quoted(role.arn), " is not the ARN of a role"}));
    for (const std::string& region : {Env("AWS_REGION"), Env("AWS_DEFAULT_REGION"), profile_region}) {
      if (region.empty()) continue;
      const auto usual = PublicHost("sts", region);
      if (!usual.ok()) return Missing(std::string(usual.status().message()));
      return Sts::In(caller_, arn->partition, region);
    }
    return Sts::In(caller_, arn->partition, std::string(DefaultRegion(arn->partition)));
  }

  const Environment environment_;
  Posix& posix_;
  const Caller caller_;
  const ProfileFiles files_;
  InstanceMetadata instance_;
  Renewing<AwsCredentials> ending_{[this](absl::Duration budget) { return AsOurs(Fetch(budget)); },
                                   kRenewBefore, caller_.tools.clock};
};

}  // namespace

std::unique_ptr<AwsCredentialSource> NewPlatformCredentials(const Environment& environment, Posix& posix,
                                                            const Caller& caller) {
  return std::make_unique<PlatformCredentials>(environment, posix, caller);
}

}  // namespace keyhold::kms::aws
