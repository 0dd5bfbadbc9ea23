#include "keyring/format.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "crypto/hash.h"

namespace keyhold::keyring {
namespace {

Status Corrupt(std::string_view what) {
  return Error(Cause::kCorrupt, absl::StrCat("the key ring is damaged: ", std::string(what),
                                             "; restore the file from a copy of the same epoch"));
}

Status Newer(std::string_view what) {
  return Error(Cause::kFailedPrecondition, absl::StrCat("the key ring was written by a newer Keyhold: ",
                                                        std::string(what), "; use that version to open it"));
}

class Writer {
 public:
  template <typename Integer>
  void Number(Integer value) {
    for (size_t i = 0; i < sizeof(Integer); ++i) {
      out_ += static_cast<char>(static_cast<std::make_unsigned_t<Integer>>(value) >> (8 * i) & 0xff);
    }
  }
  void Raw(std::string_view bytes) { out_ += bytes; }
  void Text(std::string_view bytes) {
    Number(static_cast<uint16_t>(bytes.size()));
    Raw(bytes);
  }
  void Time(absl::Time time) { Number(absl::ToUnixMicros(time)); }

  std::string Take() { return std::move(out_); }
  size_t size() const { return out_.size(); }

 private:
  std::string out_;
};

// Reads forward; the first read past the end makes it bad, and every later one answers zeroes.
class Reader {
 public:
  explicit Reader(std::string_view rest) : rest_(rest) {}

  template <typename Integer>
  Integer Number() {
    const std::string_view bytes = Raw(sizeof(Integer));
    std::make_unsigned_t<Integer> value = 0;
    for (size_t i = 0; i < bytes.size(); ++i) {
      value |= static_cast<std::make_unsigned_t<Integer>>(static_cast<uint8_t>(bytes[i])) << (8 * i);
    }
    return static_cast<Integer>(value);
  }
  std::string_view Raw(size_t size) {
    bad_ = bad_ || size > rest_.size();
    if (bad_) return {};
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }
  std::string Text() { return std::string(Raw(Number<uint16_t>())); }
  absl::Time Time() { return absl::FromUnixMicros(Number<int64_t>()); }

  bool bad() const { return bad_; }
  bool done() const { return !bad_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool bad_ = false;
};

void WriteIdentity(Writer& out, const Identity& identity) {
  out.Text(identity.cluster_id);
  out.Text(identity.region);
  out.Text(identity.store_id);
}

void WriteKey(Writer& out, const KeyEntry& key, uint32_t version) {
  out.Number(static_cast<uint8_t>(key.spec.type));
  out.Text(key.spec.uri);
  out.Text(key.spec.auth_principal);
  out.Time(key.created_at);
  out.Time(key.updated_at);
  out.Number(key.first_data_key);
  out.Text(key.wrapped);
  if (version >= kKeyVersionsVersion) out.Text(key.version);
}

KeyEntry ReadKey(Reader& in, uint32_t version) {
  KeyEntry key;
  key.spec.type = static_cast<kms::KeyType>(in.Number<uint8_t>());
  key.spec.uri = in.Text();
  key.spec.auth_principal = in.Text();
  key.created_at = in.Time();
  key.updated_at = in.Time();
  key.first_data_key = in.Number<uint32_t>();
  key.wrapped = in.Text();
  if (version >= kKeyVersionsVersion) key.version = in.Text();
  return key;
}

void WriteDataKey(Writer& out, const DataKeyEntry& key, uint32_t version) {
  out.Number(key.id);
  out.Number(static_cast<uint8_t>(key.state));
  out.Time(key.created_at);
  out.Time(key.updated_at);
  if (version >= kSealsVersion) out.Number(key.seals);
  out.Text(key.wrapped);
}

DataKeyEntry ReadDataKey(Reader& in, uint32_t version) {
  DataKeyEntry key;
  key.id = in.Number<uint32_t>();
  key.state = static_cast<DataKeyState>(in.Number<uint8_t>());
  key.created_at = in.Time();
  key.updated_at = in.Time();
  if (version >= kSealsVersion) key.seals = in.Number<uint64_t>();
  key.wrapped = in.Text();
  return key;
}

uint32_t VersionOf(const Contents& contents) {
  if (contents.accepted_at != absl::InfinitePast()) return kAcceptedVersion;
  if (contents.recovery || contents.recovered_at != absl::InfinitePast()) return kRecoveryVersion;
  const auto is_told = [](const KeyEntry& key) { return !key.version.empty(); };
  if (std::any_of(contents.keys.begin(), contents.keys.end(), is_told)) return kKeyVersionsVersion;
  const auto& keys = contents.data_keys;
  const bool counted = std::any_of(keys.begin(), keys.end(), [](const auto& key) { return key.seals != 0; });
  if (counted) return kSealsVersion;
  return contents.proofs.empty() ? kFirstVersion : kProofsVersion;
}

void WriteProof(Writer& out, const Proof& proof) {
  out.Number(proof.target);
  out.Time(proof.started_at);
  out.Time(proof.ended_at);
  out.Number(proof.blocks);
  out.Number(proof.maps);
  out.Number(proof.others);
  out.Number(proof.files);
  out.Number(proof.directories);
  out.Number(proof.links);
}

Proof ReadProof(Reader& in) {
  Proof proof;
  proof.target = in.Number<uint32_t>();
  proof.started_at = in.Time();
  proof.ended_at = in.Time();
  proof.blocks = in.Number<uint64_t>();
  proof.maps = in.Number<uint64_t>();
  proof.others = in.Number<uint64_t>();
  proof.files = in.Number<uint64_t>();
  proof.directories = in.Number<uint64_t>();
  proof.links = in.Number<uint64_t>();
  return proof;
}

// 0 for InfinitePast.
void WriteTimeIfAny(Writer& out, absl::Time time) {
  out.Number(time == absl::InfinitePast() ? int64_t{0} : absl::ToUnixMicros(time));
}

absl::Time ReadTimeIfAny(Reader& in) {
  const auto micros = in.Number<int64_t>();
  return micros == 0 ? absl::InfinitePast() : absl::FromUnixMicros(micros);
}

void WriteRecovery(Writer& out, const Contents& contents) {
  out.Number(static_cast<uint8_t>(contents.recovery ? 1 : 0));
  if (contents.recovery) {
    out.Text(contents.recovery->public_key);
    out.Time(contents.recovery->created_at);
    out.Text(contents.recovery->sealed);
  }
  WriteTimeIfAny(out, contents.recovered_at);
}

Status ReadRecovery(Reader& in, Contents& contents) {
  const auto kind = in.Number<uint8_t>();
  if (kind > 1) return Newer("it has a kind of recovery key that is unknown here");
  if (kind == 1) contents.recovery = RecoveryEntry{in.Text(), in.Time(), in.Text()};
  contents.recovered_at = ReadTimeIfAny(in);
  return OkStatus();
}

Status CheckRecovery(const Contents& contents) {
  if (!contents.recovery) return OkStatus();
  const RecoveryEntry& entry = *contents.recovery;
  if (entry.public_key.empty() || entry.public_key.size() > kMaxPublicKeySize) {
    return Corrupt("the size of its recovery key");
  }
  if (entry.sealed.size() < kMinSealedSize || entry.sealed.size() > kMaxSealedSize) {
    return Corrupt("the size of what is sealed to its recovery key");
  }
  return OkStatus();
}

Status CheckKeys(const Contents& contents) {
  if (contents.keys.empty() || contents.keys.size() > kMaxKeys) return Corrupt("its number of key records");
  for (size_t i = 0; i < contents.keys.size(); ++i) {
    const KeyEntry& key = contents.keys[i];
    if (key.spec.type > kms::KeyType::kAzureKeyVault)
      return Newer("it has a type of key that is unknown here");
    if (key.spec.uri.size() > kms::kMaxUriSize || key.spec.auth_principal.size() > kms::kMaxUriSize) {
      return Corrupt("a key spec is too long");
    }
    if (key.wrapped.size() > kms::kMaxWrappedSize) return Corrupt("its wrapped store key is too long");
    if (key.version.size() > kms::kMaxKeyVersionSize || !IsVisibleAscii(key.version)) {
      return Corrupt("a version of a CMEK key");
    }
    if (key.wrapped.empty() == (i == 0)) return Corrupt("its wrapped store key is not where it must be");
  }
  return OkStatus();
}

Status CheckDataKeys(const Contents& contents) {
  if (contents.data_keys.empty() || contents.data_keys.size() > kMaxDataKeys) {
    return Corrupt("its number of data keys");
  }
  DataKeyId last = 0;
  for (const DataKeyEntry& key : contents.data_keys) {
    if (key.state < DataKeyState::kActive || key.state > DataKeyState::kDestroyed) {
      return Newer("a data key has a state that is unknown here");
    }
    if (key.id <= last || key.id >= contents.next_data_key) return Corrupt("the ids of its data keys");
    const size_t size = key.state == DataKeyState::kDestroyed ? 0 : kWrappedDataKeySize;
    if (key.wrapped.size() != size) return Corrupt("the size of a wrapped data key");
    if (key.seals > kMostSeals) return Corrupt("a data key's count of seals is beyond what one may seal");
    const bool active = key.state == DataKeyState::kActive;
    if (active != (&key == &contents.data_keys.back())) return Corrupt("its active data key is not the last");
    last = key.id;
  }
  return OkStatus();
}

// A proof's word is kept: no data key older than its target is left.
Status CheckProofs(const Contents& contents) {
  if (contents.proofs.size() > kMaxProofs) return Corrupt("its number of proofs");
  DataKeyId last = 0;
  for (const Proof& proof : contents.proofs) {
    if (proof.target <= last || proof.target >= contents.next_data_key)
      return Corrupt("the targets of its proofs");
    last = proof.target;
  }
  for (const DataKeyEntry& key : contents.data_keys) {
    if (key.id < last && key.state != DataKeyState::kDestroyed) {
      return Corrupt("a data key that was proved to be of no more use is still there");
    }
  }
  return OkStatus();
}

StatusOr<Contents> ReadContents(std::string_view body, size_t file_size) {
  Reader in(body);
  in.Raw(kMagic.size());
  const auto version = in.Number<uint32_t>();
  if (version < kFirstVersion || version > kLastVersion) {
    return Newer(absl::StrCat("its format is version ", version, ", this program knows ", kLastVersion));
  }
  if ((in.Number<uint32_t>() & ~kKnownFlags) != 0) return Newer("it has flags that are unknown here");
  if (in.Number<uint32_t>() != file_size) return Corrupt("its size is not the one that it tells");
  // Counts come from the file: the loops end with the bytes, so a lying count costs nothing.
  Contents contents;
  contents.epoch = in.Number<uint64_t>();
  contents.next_data_key = in.Number<uint32_t>();
  const auto keys = in.Number<uint16_t>();
  const auto data_keys = in.Number<uint16_t>();
  contents.identity = {in.Text(), in.Text(), in.Text()};
  for (size_t i = 0; i < keys && !in.bad(); ++i) contents.keys.push_back(ReadKey(in, version));
  for (size_t i = 0; i < data_keys && !in.bad(); ++i) contents.data_keys.push_back(ReadDataKey(in, version));
  if (version >= kProofsVersion) {
    const auto proofs = in.Number<uint16_t>();
    for (size_t i = 0; i < proofs && !in.bad(); ++i) contents.proofs.push_back(ReadProof(in));
  }
  if (version >= kRecoveryVersion) KEYHOLD_RETURN_IF_ERROR(ReadRecovery(in, contents));
  if (version >= kAcceptedVersion) contents.accepted_at = ReadTimeIfAny(in);
  if (!in.done()) return Corrupt("its fields do not fill it");
  if (version != VersionOf(contents)) return Corrupt("it has nothing of what its version is for");
  if (!CheckIdentity(contents.identity).ok()) return Corrupt("its cluster, region or store id");
  KEYHOLD_RETURN_IF_ERROR(CheckKeys(contents));
  KEYHOLD_RETURN_IF_ERROR(CheckDataKeys(contents));
  KEYHOLD_RETURN_IF_ERROR(CheckProofs(contents));
  KEYHOLD_RETURN_IF_ERROR(CheckRecovery(contents));
  return contents;
}

}  // namespace

std::string EncodeBody(const Contents& contents) {
  Writer rest;
  WriteIdentity(rest, contents.identity);
  const uint32_t version = VersionOf(contents);
  for (const KeyEntry& key : contents.keys) WriteKey(rest, key, version);
  for (const DataKeyEntry& key : contents.data_keys) WriteDataKey(rest, key, version);
  if (version >= kProofsVersion) rest.Number(static_cast<uint16_t>(contents.proofs.size()));
  for (const Proof& proof : contents.proofs) WriteProof(rest, proof);
  if (version >= kRecoveryVersion) WriteRecovery(rest, contents);
  if (version >= kAcceptedVersion) WriteTimeIfAny(rest, contents.accepted_at);
  Writer out;
  out.Raw(kMagic);
  out.Number(version);
  out.Number(uint32_t{0});
  out.Number(static_cast<uint32_t>(kHeaderSize + rest.size() + kChecksumSize + kMacSize));
  out.Number(contents.epoch);
  out.Number(contents.next_data_key);
  out.Number(static_cast<uint16_t>(contents.keys.size()));
  out.Number(static_cast<uint16_t>(contents.data_keys.size()));
  return out.Take() + rest.Take();
}

std::string WithTrailer(std::string body, const std::array<uint8_t, kMacSize>& mac) {
  const crypto::Sha256Digest checksum = crypto::Sha256(crypto::AsBytes(body));
  body += crypto::AsText(checksum);
  body += crypto::AsText(mac);
  return body;
}

StatusOr<Decoded> Decode(std::string_view file) {
  if (file.size() > kMaxFileSize) return Corrupt("it is longer than 1 MiB");
  if (file.size() < kHeaderSize + kChecksumSize + kMacSize) return Corrupt("it is cut short");
  // The checksum comes before the version: a flipped bit there must not read as "a newer Keyhold".
  if (!file.starts_with(kMagic)) return Corrupt("it does not start as a key ring does");
  Decoded decoded;
  decoded.body = file.substr(0, file.size() - kChecksumSize - kMacSize);
  decoded.mac = file.substr(file.size() - kMacSize);
  const crypto::Sha256Digest checksum = crypto::Sha256(crypto::AsBytes(decoded.body));
  if (crypto::AsText(checksum) != file.substr(decoded.body.size(), kChecksumSize)) {
    return Corrupt("its checksum does not fit");
  }
  KEYHOLD_ASSIGN_OR_RETURN(decoded.contents, ReadContents(decoded.body, file.size()));
  return decoded;
}

std::string DataKeyBinding(DataKeyId id, const Identity& identity) {
  Writer out;
  out.Raw("keyhold data key v1");
  out.Number(id);
  WriteIdentity(out, identity);
  return out.Take();
}

Status CheckIdentity(const Identity& identity) {
  const auto is_good = [](std::string_view id) {
    return !id.empty() && id.size() <= kMaxIdSize && IsVisibleAscii(id);
  };
  if (is_good(identity.cluster_id) && is_good(identity.region) && is_good(identity.store_id))
    return OkStatus();
  return Error(Cause::kInvalidArgument,
               "cluster, region and store ids must be 1 to 255 printable characters without blanks");
}

}  // namespace keyhold::keyring
