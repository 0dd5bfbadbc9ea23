#include "tests/kms/named_key.h"

#include <gmock/gmock.h>

#include <cstdio>

#include "absl/strings/strip.h"
#include "base/environment.h"

extern char** environ;

namespace keyhold::kms {
namespace {

constexpr absl::string_view kKeySpec = "--key-spec=";
constexpr absl::string_view kRegion = "--region=";

// What names the key is taken out of the arguments, for GoogleTest to read the others.
Status TakeNamedKey(int* argc, char** argv) {
  NamedKey named;
  bool is_named = false;
  int kept = 0;
  for (int i = 0; i < *argc; ++i) {
    absl::string_view word = argv[i];
    if (absl::ConsumePrefix(&word, kKeySpec)) {
      is_named = true;
      KEYHOLD_ASSIGN_OR_RETURN(named.spec, ParseKeySpec(std::string(word)));
    } else if (absl::ConsumePrefix(&word, kRegion)) {
      named.region = std::string(word);
    } else {
      argv[kept++] = argv[i];
    }
  }
  *argc = kept;
  if (is_named) NamedKeys().push_back(named);
  return OkStatus();
}

}  // namespace

std::vector<NamedKey>& NamedKeys() {
  static std::vector<NamedKey> keys;
  return keys;
}

NamedWorld::NamedWorld(const NamedKey& named) : named_(named) {
  provider_ = *NewProvider({ReadEnvironment(environ), "", "conformance", SystemPosix(), SystemClock(),
                            crypto::SystemRandom(), SystemSleeper()});
  key_ = *provider_->Open(named_.spec);
}

size_t NamedWorld::LargestSecret() const {
  return named_.spec.type == KeyType::kAzureKeyVault ? azure::kMaxWrappable : kMaxSecretSize;
}

std::string NamedWorld::Usage() const {
  return named_.spec.type == KeyType::kAzureKeyVault ? "encrypt,decrypt,sign,verify,wrapKey,unwrapKey"
                                                     : "ENCRYPT_DECRYPT";
}

}  // namespace keyhold::kms

int main(int argc, char** argv) {
  const keyhold::Status named = keyhold::kms::TakeNamedKey(&argc, argv);
  if (!named.ok()) {
    std::fprintf(stderr, "--key-spec: %s\n", std::string(named.message()).c_str());
    return 2;
  }
  ::testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
