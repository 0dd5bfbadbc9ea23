#include "recovery/recovery_key.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "crypto/aead.h"

namespace keyhold::recovery {
namespace {

Status Invalid(const std::string& why) { return Error(Cause::kInvalidArgument, why); }

Status CheckFits(const std::string& name, const Header& share, const Header& file) {
  if (share.cluster_id != file.cluster_id) {
    return Invalid(absl::StrCat("share ", name, " is of cluster ", share.cluster_id,
                                ", and the recovery file of cluster ", file.cluster_id));
  }
  if (share == file) return OkStatus();
  return Invalid(absl::StrCat("share ", name, " is of recovery key ", share.key_id.substr(0, 16),
                              ", and the recovery file of ", file.key_id.substr(0, 16),
                              "; give the shares that were made with this file"));
}

StatusOr<std::vector<NumberedShare>> TakeShares(const RecoveryFile& file,
                                                const std::vector<ShareText>& texts) {
  std::vector<NumberedShare> shares;
  for (const ShareText& text : texts) {
    auto share = ParseShare(text.text.ExposeText());
    if (!share.ok()) return Annotate(share.status(), absl::StrCat("share ", text.name));
    KEYHOLD_RETURN_IF_ERROR(CheckFits(text.name, share->header, file.header));
    const bool twice = std::any_of(shares.begin(), shares.end(),
                                   [&](const NumberedShare& s) { return s.number == share->share.number; });
    if (twice) {
      return Invalid(absl::StrCat("share ", text.name, " is number ", int{share->share.number},
                                  ", which was given already; give another person's"));
    }
    shares.push_back(std::move(share->share));
  }
  const auto needed = static_cast<size_t>(file.header.threshold);
  if (shares.size() < needed) {
    return Invalid(absl::StrCat(needed, " shares are needed, and ", shares.size(), " given"));
  }
  shares.resize(needed);
  return shares;
}

}  // namespace

StatusOr<NewRecoveryKey> MakeRecoveryKey(const std::string& cluster_id, int threshold, int shares,
                                         crypto::Random& random, int bits) {
  if (threshold < kMinThreshold || threshold > shares || shares > kMaxShares) {
    return Invalid(
        absl::StrCat("a recovery key is shared among 2 to 255 people, of whom at least two are "
                     "needed, not ",
                     threshold, " of ", shares));
  }
  KEYHOLD_ASSIGN_OR_RETURN(const crypto::RsaPrivateKey key, crypto::RsaPrivateKey::Generate(bits));
  NewRecoveryKey made;
  made.public_pem = key.PublicPem();
  KEYHOLD_ASSIGN_OR_RETURN(const auto public_key, crypto::RsaPublicKey::FromPem(made.public_pem));
  made.header = {cluster_id, public_key.Fingerprint(), shares, threshold};
  const crypto::SecretBytes secret = random.Secret(kSecretSize);
  made.file = EncodeFile(
      {made.header, crypto::SealBox(secret.Expose(), random, crypto::AsBytes(HeaderText(made.header)),
                                    key.ToPem().Expose())});
  std::vector<ShareText> texts;
  for (NumberedShare& share : Split(secret.Expose(), threshold, shares, random)) {
    made.shares.push_back(EncodeShare({made.header, std::move(share)}));
    texts.push_back({"", made.shares.back().Clone()});
  }
  KEYHOLD_ASSIGN_OR_RETURN(const RecoveryFile file, ParseFile(made.file));
  KEYHOLD_RETURN_IF_ERROR(OpenRecoveryKey(file, texts).status());
  return made;
}

StatusOr<crypto::RsaPrivateKey> OpenRecoveryKey(const RecoveryFile& file,
                                                const std::vector<ShareText>& shares) {
  KEYHOLD_ASSIGN_OR_RETURN(const std::vector<NumberedShare> numbered, TakeShares(file, shares));
  const crypto::SecretBytes secret = Join(numbered);
  const auto pem = crypto::OpenBox(secret.Expose(), crypto::AsBytes(HeaderText(file.header)),
                                   crypto::AsBytes(file.private_key));
  if (!pem.ok()) {
    return Error(Cause::kCorrupt,
                 "these shares do not open the recovery file: one of them was made up, or the "
                 "file was altered");
  }
  KEYHOLD_ASSIGN_OR_RETURN(crypto::RsaPrivateKey key, crypto::RsaPrivateKey::FromPem(pem->Expose()));
  KEYHOLD_ASSIGN_OR_RETURN(const auto public_key, crypto::RsaPublicKey::FromPem(key.PublicPem()));
  if (public_key.Fingerprint() == file.header.key_id) return key;
  return Error(Cause::kCorrupt, "the recovery file holds another key than it says");
}

}  // namespace keyhold::recovery
