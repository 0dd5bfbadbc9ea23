#include "kms/platform_key.h"

#include <unistd.h>

#include <cerrno>

#include "crypto/aead.h"
#include "crypto/hash.h"
#include "kms/file.h"
#include "kms/text.h"

namespace keyhold::kms {
namespace {

constexpr size_t kKeySize = 32;
constexpr std::string_view kCheckName = "NULL_KMS";

using PlatformKey = crypto::Key<struct PlatformKeyTag>;

// The context, unambiguously as bytes: every name and value ended by a zero, which neither can hold.
std::string AssociatedData(const Context& context) {
  std::string data = "keyhold platform key wrap v1";
  for (const auto& [name, value] : context) data.append(1, '\0').append(name).append(1, '\0').append(value);
  return data;
}

class PlatformKms final : public Kms {
 public:
  PlatformKms(PlatformKey key, std::string path, crypto::Random& random)
      : key_(std::move(key)), path_(std::move(path)), random_(random) {}

  const KeySpec& Spec() const override { return spec_; }

  StatusOr<Wrapped> Wrap(crypto::Bytes secret, const Context& context, absl::Duration) override {
    if (secret.empty() || secret.size() > kMaxSecretSize) {
      return Error(Cause::kInvalidArgument, "a secret to wrap has 1 to 4096 bytes");
    }
    return Wrapped{crypto::SealBox(key_.Expose(), random_, crypto::AsBytes(AssociatedData(context)), secret),
                   ""};
  }

  StatusOr<crypto::SecretBytes> Unwrap(crypto::Bytes wrapped, const Context& context,
                                       absl::Duration) override {
    auto opened = crypto::OpenBox(key_.Expose(), crypto::AsBytes(AssociatedData(context)), wrapped);
    if (opened.ok()) return opened;
    return Error(Cause::kKmsCorrupt, StrCat({"the platform key ", path_,
                                             " does not open this store key: it is another key, or the wrap "
                                             "belongs to another store or is damaged"}));
  }

  StatusOr<KeyDescription> Describe(absl::Duration) override {
    return KeyDescription{"", "", "Enabled", "ENCRYPT_DECRYPT", "AES_256_GCM (the platform's own key)"};
  }

  CheckReport Check(std::string_view, const Context& context, absl::Duration budget) override {
    const crypto::SecretBytes secret = random_.Secret(kKeySize);
    const auto wrapped = Wrap(secret.Expose(), context, budget);
    const auto opened = Unwrap(crypto::AsBytes(wrapped->bytes), context, budget);
    CheckStep step{std::string(kCheckName), false, Cause::kKmsCorrupt, "the platform key does not work", {}};
    if (opened.ok() && crypto::ConstantTimeEqual(opened->Expose(), secret.Expose())) {
      step = CheckStep{std::string(kCheckName), true, Cause::kInternal, "", {}};
    }
    return CheckReport{{step}};
  }

 private:
  const KeySpec spec_ = NullKmsSpec();
  const PlatformKey key_;
  const std::string path_;
  crypto::Random& random_;
};

Status CheckMode(Posix& posix, const std::string& path) {
  struct stat found;
  if (const int error = posix.FStatAt(AT_FDCWD, path.c_str(), &found, AT_SYMLINK_NOFOLLOW); error != 0) {
    return ErrnoError(-error, StrCat({"looking at the platform key ", path}));
  }
  if (!S_ISREG(found.st_mode) || (found.st_mode & 077) != 0 || found.st_uid != geteuid()) {
    return Error(Cause::kFailedPrecondition,
                 StrCat({"the platform key ", path,
                         " must be a plain file of this user that nobody else can read; chmod 0600 it"}));
  }
  return OkStatus();
}

Status CreateKey(Posix& posix, const std::string& path, crypto::Random& random) {
  // Written aside and renamed: whoever looks sees no key or a whole one.
  const crypto::SecretBytes fresh = random.Secret(kKeySize);
  Status created =
      CreateSecretFile(posix, path, StrCat({path, ".", crypto::NewUuid(random)}), fresh.Expose());
  // Another process was faster: its key is the one.
  if (!created.ok() && CauseOf(created) == Cause::kAlreadyExists) return OkStatus();
  return created;
}

}  // namespace

StatusOr<std::unique_ptr<Kms>> OpenPlatformKey(Posix& posix, const std::string& path, crypto::Random& random,
                                               IfMissing if_missing) {
  Status mode = CheckMode(posix, path);
  if (ErrnoOf(mode) == ENOENT) {
    if (if_missing == IfMissing::kFail) {
      return Error(
          Cause::kFailedPrecondition,
          StrCat({"the platform key ", path, " is missing; restore it from where the agent keeps it"}));
    }
    KEYHOLD_RETURN_IF_ERROR(CreateKey(posix, path, random));
    mode = CheckMode(posix, path);
  }
  KEYHOLD_RETURN_IF_ERROR(mode);
  auto content = ReadSecretFile(posix, path, kKeySize);
  if (content.ok() ? content->size() != kKeySize : CauseOf(content.status()) == Cause::kInvalidArgument) {
    return Error(Cause::kCorrupt, StrCat({"the platform key ", path, " does not have 32 bytes"}));
  }
  KEYHOLD_RETURN_IF_ERROR(content.status());
  KEYHOLD_ASSIGN_OR_RETURN(PlatformKey key, PlatformKey::From(*std::move(content)));
  return std::make_unique<PlatformKms>(std::move(key), path, random);
}

}  // namespace keyhold::kms
