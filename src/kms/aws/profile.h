// Profiles of AWS's shared credentials and config files.
//
// https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/posix.h"
#include "crypto/secret.h"
#include "kms/credentials.h"

namespace keyhold::kms::aws {

// One profile, as both files together have it.
struct Profile {
  std::string name;
  std::map<std::string, std::string> settings;  // all but the two below, which are secrets
  crypto::SecretBytes secret_access_key;
  crypto::SecretBytes session_token;

  // Empty where it is not set.
  std::string Setting(const std::string& setting) const;
};

// Where the files are. AWS_SHARED_CREDENTIALS_FILE and AWS_CONFIG_FILE, else ~/.aws/credentials and
// ~/.aws/config, where HOME is known; a credentials file that is named does without the config file, unless
// that is named too. Reads them anew at each call, so that a changed file is used at once. `posix` must
// outlive this.
class ProfileFiles {
 public:
  ProfileFiles(const Environment& environment, Posix& posix);

  // The profile `name`; nothing when neither file has it. What stands in the credentials file goes before
  // what stands in the config file. kKmsBadCredentials: a file that a variable names cannot be read, or
  // either is longer than 64 KiB.
  StatusOr<std::optional<Profile>> Find(const std::string& name) const;

  // A variable names a file: the profile is meant to be there.
  bool named() const { return credentials_.named || config_.named; }
  // For messages.
  std::string where() const { return credentials_.path.empty() ? config_.path : credentials_.path; }

 private:
  struct File {
    std::string path;  // empty: none
    bool named = false;
  };
  static File Locate(const Environment& environment, const char* variable, const char* below_home);
  StatusOr<crypto::SecretBytes> Read(const File& file) const;

  Posix& posix_;
  const File credentials_;
  const File config_;
};

}  // namespace keyhold::kms::aws
