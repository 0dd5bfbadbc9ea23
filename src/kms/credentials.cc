#include "kms/credentials.h"

#include "absl/strings/ascii.h"
#include "kms/file.h"
#include "kms/text.h"

namespace keyhold::kms {
namespace {

constexpr const char* kNames[] = {
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_PROFILE", "AWS_CA_BUNDLE",
    // GCP
    "GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", "NO_GCE_CHECK",
    // Azure
    "AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_FEDERATED_TOKEN_FILE",
    // every cloud
    "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"};
constexpr size_t kMaxCredentialsFile = 64 << 10;

std::string Value(const Environment& environment, const std::string& name) {
  const auto found = environment.find(name);
  return found == environment.end() ? std::string() : found->second;
}

// curl's order: the lower case name first.
std::string ProxyValue(const Environment& environment, const std::string& upper, const std::string& lower) {
  const std::string value = Value(environment, lower);
  return value.empty() ? Value(environment, upper) : value;
}

using Credentials = std::shared_ptr<const AwsCredentials>;

Status Missing(std::string_view what) { return Error(Cause::kKmsBadCredentials, what); }

std::string_view Trim(std::string_view text) {
  const auto is_space = [](char c) { return absl::ascii_isspace(static_cast<unsigned char>(c)); };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// The values of one profile of an AWS shared credentials file (INI).
struct Profile {
  bool found = false;
  std::string_view access_key_id;
  std::string_view secret_access_key;
  std::string_view session_token;
};

void SetField(Profile& profile, std::string_view line) {
  const size_t equals = line.find('=');
  if (equals == std::string_view::npos) return;
  const std::string_view name = Trim(line.substr(0, equals));
  const std::string_view value = Trim(line.substr(equals + 1));
  if (name == "aws_access_key_id") profile.access_key_id = value;
  if (name == "aws_secret_access_key") profile.secret_access_key = value;
  if (name == "aws_session_token") profile.session_token = value;
}

Profile FindProfile(std::string_view ini, std::string_view wanted) {
  Profile profile;
  bool inside = false;
  while (!ini.empty()) {
    const size_t end = ini.find('\n');
    const std::string_view line = Trim(ini.substr(0, end));
    ini.remove_prefix(end == std::string_view::npos ? ini.size() : end + 1);
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    if (line.front() == '[' && line.back() == ']') {
      inside = Trim(line.substr(1, line.size() - 2)) == wanted;
      profile.found = profile.found || inside;
    } else if (inside) {
      SetField(profile, line);
    }
  }
  return profile;
}

// A value goes into a header line: nothing in it may end that line.
bool IsPlain(std::string_view value) {
  for (const char c : value) {
    if (c <= ' ' || c >= 0x7f) return false;
  }
  return true;
}

StatusOr<Credentials> Make(std::string_view id, std::string_view secret, std::string_view token,
                           std::string_view where) {
  if (id.empty() || secret.empty()) {
    return Missing(StrCat({where, " has an access key id without its secret or the reverse; set both"}));
  }
  if (!IsPlain(id) || !IsPlain(secret) || !IsPlain(token)) {
    return Missing(StrCat({where, " has blanks or unprintable characters in an AWS credential"}));
  }
  auto made = std::make_shared<AwsCredentials>();
  made->access_key_id = std::string(id);
  made->secret_access_key = crypto::SecretBytes::CopyOf(crypto::AsBytes(secret));
  made->session_token = crypto::SecretBytes::CopyOf(crypto::AsBytes(token));
  return Credentials(std::move(made));
}

class FileCredentials final : public AwsCredentialSource {
 public:
  FileCredentials(std::string path, std::string profile, Posix& posix)
      : path_(std::move(path)), profile_(profile.empty() ? "default" : std::move(profile)), posix_(posix) {}

  StatusOr<Credentials> Get(absl::Duration) override {
    if (path_.empty()) {
      return Missing(
          "there are no AWS credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
          "AWS_SHARED_CREDENTIALS_FILE");
    }
    const auto text = ReadSecretFile(posix_, path_, kMaxCredentialsFile);
    if (!text.ok()) {
      return Missing(StrCat({"the AWS credentials file ", Quoted(path_),
                             " cannot be used: ", std::string(text.status().message())}));
    }
    const Profile profile = FindProfile(text->ExposeText(), profile_);
    const std::string where = StrCat({"the profile ", Quoted(profile_), " in ", Quoted(path_)});
    if (!profile.found) return Missing(StrCat({where, " does not exist"}));
    return Make(profile.access_key_id, profile.secret_access_key, profile.session_token, where);
  }

 private:
  const std::string path_;
  const std::string profile_;
  Posix& posix_;
};

class FixedCredentials final : public AwsCredentialSource {
 public:
  explicit FixedCredentials(StatusOr<Credentials> credentials) : credentials_(std::move(credentials)) {}
  StatusOr<Credentials> Get(absl::Duration) override { return credentials_; }

 private:
  const StatusOr<Credentials> credentials_;
};

}  // namespace

std::span<const char* const> EnvironmentNames() { return kNames; }

HttpOptions HttpOptionsFrom(const Environment& environment) {
  HttpOptions options;
  options.https_proxy = ProxyValue(environment, "HTTPS_PROXY", "https_proxy");
  options.no_proxy = ProxyValue(environment, "NO_PROXY", "no_proxy");
  // One transport serves all clouds: whichever client's variable is set first.
  for (const char* name : {"AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"}) {
    if (options.ca_file.empty()) options.ca_file = Value(environment, name);
  }
  return options;
}

std::unique_ptr<AwsCredentialSource> NewPlatformCredentials(const Environment& environment, Posix& posix) {
  const std::string id = Value(environment, "AWS_ACCESS_KEY_ID");
  const std::string secret = Value(environment, "AWS_SECRET_ACCESS_KEY");
  // One without the other is a mistake to tell, not a reason to fall back to another principal.
  if (id.empty() && secret.empty()) {
    return std::make_unique<FileCredentials>(Value(environment, "AWS_SHARED_CREDENTIALS_FILE"),
                                             Value(environment, "AWS_PROFILE"), posix);
  }
  return std::make_unique<FixedCredentials>(
      Make(id, secret, Value(environment, "AWS_SESSION_TOKEN"), "the environment"));
}

}  // namespace keyhold::kms
