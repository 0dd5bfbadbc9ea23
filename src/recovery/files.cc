#include "recovery/files.h"

#include <algorithm>
#include <optional>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "crypto/hash.h"

namespace keyhold::recovery {
namespace {

constexpr std::string_view kCluster = "cluster: ", kKey = "key: ", kShare = "share: ", kOf = " of ",
                           kShares = "shares: ", kNeeded = " are needed",
                           kSecret = "secret: ", kPrivateKey = "private key: ", kChecksum = "checksum: ";
constexpr std::string_view kAnd = "; ";
constexpr std::string_view kDigits = "0123456789abcdef";
constexpr size_t kMaxClusterIdSize = 255;
constexpr size_t kKeyIdSize = 64;

Status Damaged(std::string_view why) {
  return Error(Cause::kCorrupt, absl::StrCat("it is damaged: ", std::string(why)));
}

std::string ChecksumLine(std::string_view text) {
  return absl::StrCat(std::string(kChecksum), crypto::Hex(crypto::Sha256(crypto::AsBytes(text))), "\n");
}

// Takes lines off a text's beginning; what does not fit makes it bad for good.
class Lines {
 public:
  explicit Lines(std::string_view rest) : rest_(rest) {}

  // What stands between `name` and the end of the line.
  std::string_view Take(std::string_view name) {
    const size_t end = rest_.find('\n');
    bad_ = bad_ || end == std::string_view::npos || !rest_.starts_with(name);
    if (bad_) return {};
    const std::string_view value = rest_.substr(name.size(), end - name.size());
    rest_.remove_prefix(end + 1);
    return value;
  }
  bool done() const { return !bad_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool bad_ = false;
};

// A number as it is written here: decimal, without zeroes before it.
std::optional<int> Number(std::string_view text) {
  int number = 0;
  if (!absl::SimpleAtoi(std::string(text), &number) || absl::StrCat(number) != text) return std::nullopt;
  return number;
}

bool IsHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return kDigits.find(c) != std::string_view::npos; });
}

// "5; 3 are needed"
bool ReadCounts(std::string_view text, Header& header) {
  const size_t at = text.find(kAnd);
  if (at == std::string_view::npos || !text.ends_with(kNeeded)) return false;
  const std::string_view rest = text.substr(at + kAnd.size());
  const auto shares = Number(text.substr(0, at)),
             threshold = Number(rest.substr(0, rest.size() - kNeeded.size()));
  header.shares = shares.value_or(0);
  header.threshold = threshold.value_or(0);
  return kMinThreshold <= header.threshold && header.threshold <= header.shares &&
         header.shares <= kMaxShares;
}

std::string Counts(const Header& header) {
  return absl::StrCat(header.shares, std::string(kAnd), header.threshold, std::string(kNeeded), "\n");
}

Status ReadIds(Lines& lines, Header& header) {
  header.cluster_id = std::string(lines.Take(kCluster));
  header.key_id = std::string(lines.Take(kKey));
  if (header.cluster_id.empty() || header.cluster_id.size() > kMaxClusterIdSize ||
      !IsVisibleAscii(header.cluster_id)) {
    return Damaged("its cluster");
  }
  if (header.key_id.size() != kKeyIdSize || !IsHex(header.key_id)) return Damaged("its key");
  return OkStatus();
}

std::string Title(std::string_view title) { return absl::StrCat(std::string(title), kFormatVersion, "\n"); }

std::string Ids(const Header& header) {
  return absl::StrCat(std::string(kCluster), header.cluster_id, "\n", std::string(kKey), header.key_id, "\n");
}

// The lines between title and checksum of a text whose checksum fits.
StatusOr<std::string_view> Body(std::string_view text, std::string_view title, std::string_view what) {
  if (text.size() > kMaxTextSize || !text.starts_with(title)) {
    return Error(Cause::kCorrupt, absl::StrCat("it is not a ", std::string(what)));
  }
  const size_t at = text.rfind(kChecksum);
  if (at == std::string_view::npos || text.substr(at) != ChecksumLine(text.substr(0, at))) {
    return Damaged("its checksum does not fit; ask its holder for another copy");
  }
  const std::string first = Title(title);
  if (!text.starts_with(first)) {
    return Error(Cause::kFailedPrecondition,
                 "it was written by a newer Keyhold; use that version to open it");
  }
  return text.substr(first.size(), at - first.size());
}

crypto::SecretBytes FromHex(std::string_view hex) {
  crypto::SecretBytes bytes(hex.size() / 2);
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes.ExposeMutable()[i] =
        static_cast<uint8_t>(kDigits.find(hex[2 * i]) << 4 | kDigits.find(hex[2 * i + 1]));
  }
  return bytes;
}

// Text that grows in secret memory.
class SecretText {
 public:
  SecretText() : bytes_(kMaxTextSize) {}
  void Add(std::string_view text) {
    std::copy(text.begin(), text.end(), bytes_.ExposeMutable().data() + size_);
    size_ += text.size();
  }
  void AddHex(crypto::Bytes bytes) {
    for (const uint8_t byte : bytes) {
      bytes_.ExposeMutable()[size_++] = static_cast<uint8_t>(kDigits[byte >> 4]);
      bytes_.ExposeMutable()[size_++] = static_cast<uint8_t>(kDigits[byte & 0xf]);
    }
  }
  std::string_view text() const { return bytes_.ExposeText().substr(0, size_); }
  crypto::SecretBytes Take() const { return crypto::SecretBytes::CopyOf(crypto::AsBytes(text())); }

 private:
  crypto::SecretBytes bytes_;
  size_t size_ = 0;
};

}  // namespace

std::string HeaderText(const Header& header) {
  return absl::StrCat(Title(kFileTitle), Ids(header), std::string(kShares), Counts(header));
}

crypto::SecretBytes EncodeShare(const Share& share) {
  SecretText out;
  out.Add(absl::StrCat(Title(kShareTitle), Ids(share.header), std::string(kShare), int{share.share.number},
                       std::string(kOf), Counts(share.header), std::string(kSecret)));
  out.AddHex(share.share.bytes.Expose());
  out.Add("\n");
  out.Add(ChecksumLine(out.text()));
  return out.Take();
}

StatusOr<Share> ParseShare(std::string_view text) {
  KEYHOLD_ASSIGN_OR_RETURN(const std::string_view body, Body(text, kShareTitle, "recovery share"));
  Lines lines(body);
  Share share;
  KEYHOLD_RETURN_IF_ERROR(ReadIds(lines, share.header));
  const std::string_view place = lines.Take(kShare);
  const size_t of = std::min(place.find(kOf), place.size());
  const int number = Number(place.substr(0, of)).value_or(0);
  const bool counts = of < place.size() && ReadCounts(place.substr(of + kOf.size()), share.header);
  if (!counts || number < 1 || number > share.header.shares) return Damaged("its number");
  const std::string_view secret = lines.Take(kSecret);
  if (!lines.done() || secret.size() != 2 * kSecretSize || !IsHex(secret)) return Damaged("its secret");
  share.share = {static_cast<uint8_t>(number), FromHex(secret)};
  return share;
}

std::string EncodeFile(const RecoveryFile& file) {
  std::string text = absl::StrCat(HeaderText(file.header), std::string(kPrivateKey),
                                  absl::Base64Escape(file.private_key), "\n");
  return text + ChecksumLine(text);
}

StatusOr<RecoveryFile> ParseFile(std::string_view text) {
  KEYHOLD_ASSIGN_OR_RETURN(const std::string_view body, Body(text, kFileTitle, "recovery file"));
  Lines lines(body);
  RecoveryFile file;
  KEYHOLD_RETURN_IF_ERROR(ReadIds(lines, file.header));
  if (!ReadCounts(lines.Take(kShares), file.header)) return Damaged("its number of shares");
  const std::string key(lines.Take(kPrivateKey));
  if (!lines.done() || !absl::Base64Unescape(key, &file.private_key) ||
      absl::Base64Escape(file.private_key) != key) {
    return Damaged("its private key");
  }
  return file;
}

}  // namespace keyhold::recovery
