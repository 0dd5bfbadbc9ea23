#include "kms/aws/profile.h"

#include <cerrno>

#include "kms/file.h"
#include "kms/text.h"

namespace keyhold::kms::aws {
namespace {

constexpr size_t kMaxFileSize = 64 << 10;

void SetField(Profile& profile, std::string_view line) {
  const size_t equals = line.find('=');
  if (equals == std::string_view::npos) return;
  const std::string name(Trim(line.substr(0, equals)));
  const std::string_view value = Trim(line.substr(equals + 1));
  if (name == "aws_secret_access_key") {
    profile.secret_access_key = crypto::SecretBytes::CopyOf(crypto::AsBytes(value));
  } else if (name == "aws_session_token") {
    profile.session_token = crypto::SecretBytes::CopyOf(crypto::AsBytes(value));
  } else {
    profile.settings[name] = std::string(value);
  }
}

// Takes the section `header` of an INI file over whatever `profile` has. False: there is none.
bool ReadSection(std::string_view ini, std::string_view header, Profile& profile) {
  bool found = false;
  bool inside = false;
  while (!ini.empty()) {
    const size_t end = ini.find('\n');
    const std::string_view whole = ini.substr(0, end);
    const std::string_view line = Trim(whole);
    ini.remove_prefix(end == std::string_view::npos ? ini.size() : end + 1);
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    if (line.front() == '[' && line.back() == ']') {
      inside = Trim(line.substr(1, line.size() - 2)) == header;
      found = found || inside;
    } else if (inside && whole.front() != ' ' &&
               whole.front() != '\t') {  // an indented line belongs to a nested section
      SetField(profile, line);
    }
  }
  return found;
}

}  // namespace

std::string Profile::Setting(const std::string& setting) const {
  const auto found = settings.find(setting);
  return found == settings.end() ? std::string() : found->second;
}

ProfileFiles::File ProfileFiles::Locate(const Environment& environment, const char* variable,
                                        const char* below_home) {
  const std::string named = Value(environment, variable);
  if (!named.empty()) return {named, true};
  const std::string home = Value(environment, "HOME");
  return {home.empty() ? "" : home + below_home, false};
}

ProfileFiles::ProfileFiles(const Environment& environment, Posix& posix)
    : posix_(posix),
      credentials_(Locate(environment, "AWS_SHARED_CREDENTIALS_FILE", "/.aws/credentials")),
      config_(credentials_.named && Value(environment, "AWS_CONFIG_FILE").empty()
                  ? File{}
                  : Locate(environment, "AWS_CONFIG_FILE", "/.aws/config")) {}

StatusOr<crypto::SecretBytes> ProfileFiles::Read(const File& file) const {
  if (file.path.empty()) return crypto::SecretBytes();
  auto text = ReadSecretFile(posix_, file.path, kMaxFileSize);
  if (text.ok()) return text;
  if (!file.named && ErrnoOf(text.status()) == ENOENT) return crypto::SecretBytes();
  return Error(Cause::kKmsBadCredentials,
               StrCat({"the AWS credentials file ", Quoted(file.path),
                       " cannot be used: ", std::string(text.status().message())}));
}

StatusOr<std::optional<Profile>> ProfileFiles::Find(const std::string& name) const {
  KEYHOLD_ASSIGN_OR_RETURN(const crypto::SecretBytes config, Read(config_));
  KEYHOLD_ASSIGN_OR_RETURN(const crypto::SecretBytes credentials, Read(credentials_));
  Profile profile;
  profile.name = name;
  bool found = ReadSection(config.ExposeText(), "profile " + name, profile);
  if (name == "default") found = ReadSection(config.ExposeText(), name, profile) || found;
  found = ReadSection(credentials.ExposeText(), name, profile) || found;
  if (!found) return std::optional<Profile>();
  return std::optional<Profile>(std::move(profile));
}

}  // namespace keyhold::kms::aws
