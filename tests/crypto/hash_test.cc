// Hashes and derivation beyond the published vectors: sizes, separation, comparison.
#include "crypto/hash.h"

#include <gtest/gtest.h>

#include <set>

#include "absl/strings/escaping.h"
#include "crypto/random.h"

namespace keyhold::crypto {
namespace {

class Hash : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(InitSecretMemory().ok()); }
};

TEST_F(Hash, Sha256OfNothingAndOfTwoBlocks) {
  EXPECT_EQ(Hex(Sha256({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Hex(Sha256(AsBytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

// RFC 4231, test case 1, and case 6 with its key longer than a block.
TEST_F(Hash, HmacRfc4231) {
  EXPECT_EQ(Hex(HmacSha256(AsBytes(std::string(20, '\x0b')), AsBytes("Hi There"))),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(Hex(HmacSha256(AsBytes(std::string(131, '\xaa')),
                           AsBytes("Test Using Larger Than Block-Size Key - Hash Key First"))),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST_F(Hash, HkdfSeparatesByInfoAndKey) {
  const std::string key(32, 'k');
  std::set<std::string> keys;
  for (const char* info : {"", "a", "b", "ab", "a b"})
    keys.insert(Hex(Hkdf(AsBytes(key), AsBytes(info), 32).Expose()));
  keys.insert(Hex(Hkdf(AsBytes(std::string(32, 'x')), AsBytes("a"), 32).Expose()));
  EXPECT_EQ(keys.size(), 6U);
}

TEST_F(Hash, HkdfShorterIsThePrefixOfLonger) {
  const std::string key(32, 'k');
  const std::string longest = Hex(Hkdf(AsBytes(key), AsBytes("info"), 100).Expose());
  for (const size_t size : {1, 31, 32, 33, 64, 99}) {
    EXPECT_EQ(Hex(Hkdf(AsBytes(key), AsBytes("info"), size).Expose()), longest.substr(0, 2 * size));
  }
}

TEST_F(Hash, DerivedKeysHaveTheirType) {
  using Derived = Key<struct DerivedTag>;
  const std::string key(32, 'k');
  const Derived derived = DeriveKey<Derived>(AsBytes(key), AsBytes("info"));
  EXPECT_TRUE(ConstantTimeEqual(derived.Expose(), Hkdf(AsBytes(key), AsBytes("info"), 32).Expose()));
  EXPECT_TRUE(ConstantTimeEqual(derived.Clone().Expose(), derived.Expose()));
}

// RFC 7914 section 11: PBKDF2-HMAC-SHA-256, the first 32 of its 64 bytes.
TEST_F(Hash, Pbkdf2Rfc7914) {
  EXPECT_EQ(Hex(Pbkdf2(AsBytes("passwd"), AsBytes("salt"), 1).Expose()),
            "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc");
}

TEST_F(Hash, ComparisonSeesEveryByteAndSize) {
  const std::string a(32, 'a');
  EXPECT_TRUE(ConstantTimeEqual(AsBytes(a), AsBytes(a)));
  EXPECT_TRUE(ConstantTimeEqual({}, {}));
  EXPECT_FALSE(ConstantTimeEqual(AsBytes(a), AsBytes(a.substr(1))));
  for (size_t i = 0; i < a.size(); ++i) {
    std::string b = a;
    b[i] = 'b';
    EXPECT_FALSE(ConstantTimeEqual(AsBytes(a), AsBytes(b)));
  }
}

TEST_F(Hash, RandomFillsAllOfIt) {
  std::array<uint8_t, 64> seen{};
  for (int round = 0; round < 64; ++round) {
    std::array<uint8_t, 64> bytes{};
    if (round % 2 == 0) {
      SystemRandom().Fill(bytes);
    } else {
      SystemRandom().FillSecret(bytes);
    }
    for (size_t i = 0; i < bytes.size(); ++i) seen[i] |= bytes[i];
  }
  EXPECT_EQ(Hex(seen), std::string(128, 'f')) << "after 64 rounds each bit was set once";
}

TEST_F(Hash, SecretsOfRandomDiffer) {
  std::set<std::string> all;
  for (int i = 0; i < 100; ++i) all.insert(Hex(SystemRandom().Secret(32).Expose()));
  EXPECT_EQ(all.size(), 100U);
}

}  // namespace
}  // namespace keyhold::crypto
