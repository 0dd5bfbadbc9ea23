// AEAD under use: sizes, aliasing, threads, and what must never open.
#include "crypto/aead.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include "absl/strings/escaping.h"
#include "crypto/hash.h"

namespace keyhold::crypto {
namespace {

class Aead : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(InitSecretMemory().ok()); }

  // tag | ciphertext
  static std::string Seal(const Aes256Gcm& gcm, const GcmNonce& nonce, std::string_view data,
                          std::string_view plaintext) {
    std::string out(kGcmTagSize + plaintext.size(), '\0');
    auto* bytes = reinterpret_cast<uint8_t*>(out.data());
    gcm.Seal(nonce, AsBytes(data), AsBytes(plaintext), bytes + kGcmTagSize, bytes);
    return out;
  }
  static bool Open(const Aes256Gcm& gcm, const GcmNonce& nonce, std::string_view data,
                   std::string_view sealed, std::string& plaintext) {
    plaintext.assign(sealed.size() - kGcmTagSize, 'x');
    const auto* bytes = reinterpret_cast<const uint8_t*>(sealed.data());
    return gcm.Open(nonce, AsBytes(data), AsBytes(sealed.substr(kGcmTagSize)), bytes,
                    reinterpret_cast<uint8_t*>(plaintext.data()));
  }

  const std::string key_ = std::string(32, 'k');
  const GcmNonce nonce_{7};
};

// NIST CAVP gcmEncryptExtIV256: with plaintext and associated data (also McGrew and Viega, test case 16).
TEST_F(Aead, GcmTestCase16) {
  const std::string key =
      absl::HexStringToBytes("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
  const std::string iv = absl::HexStringToBytes("cafebabefacedbaddecaf888");
  const std::string plaintext = absl::HexStringToBytes(
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525"
      "b16aedf5aa0de657ba637b39");
  const std::string data = absl::HexStringToBytes("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  GcmNonce nonce;
  std::memcpy(nonce.data(), iv.data(), nonce.size());
  const std::string sealed = Seal(Aes256Gcm(AsBytes(key)), nonce, data, plaintext);
  EXPECT_EQ(Hex(AsBytes(sealed)),
            "76fc6ece0f4e1768cddf8853bb2d551b"
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838"
            "c5f61e6393ba7a0abcc9f662");
}

TEST_F(Aead, GcmTakesEverySize) {
  const Aes256Gcm gcm(AsBytes(key_));
  for (size_t size = 0; size <= 300; ++size) {
    const std::string plaintext(size, 'p');
    std::string opened;
    ASSERT_TRUE(Open(gcm, nonce_, "ad", Seal(gcm, nonce_, "ad", plaintext), opened)) << size;
    ASSERT_EQ(opened, plaintext);
  }
}

TEST_F(Aead, GcmWorksInPlace) {
  const Aes256Gcm gcm(AsBytes(key_));
  const std::string plaintext(4096, 'p');
  std::string buffer = plaintext;
  auto* bytes = reinterpret_cast<uint8_t*>(buffer.data());
  uint8_t tag[kGcmTagSize];
  gcm.Seal(nonce_, {}, AsBytes(buffer), bytes, tag);
  EXPECT_NE(buffer, plaintext);
  ASSERT_TRUE(gcm.Open(nonce_, {}, AsBytes(buffer), tag, bytes));
  EXPECT_EQ(buffer, plaintext);
}

TEST_F(Aead, GcmOpensUnderNoOtherKeyOrNonce) {
  const Aes256Gcm gcm(AsBytes(key_));
  const std::string sealed = Seal(gcm, nonce_, "ad", "plaintext");
  std::string opened;
  for (size_t bit = 0; bit < key_.size() * 8; bit += 5) {
    std::string other = key_;
    other[bit / 8] = static_cast<char>(other[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(Open(Aes256Gcm(AsBytes(other)), nonce_, "ad", sealed, opened));
  }
  for (size_t bit = 0; bit < nonce_.size() * 8; ++bit) {
    GcmNonce other = nonce_;
    other[bit / 8] ^= 1 << (bit % 8);
    EXPECT_FALSE(Open(gcm, other, "ad", sealed, opened));
    EXPECT_EQ(opened, std::string(9, '\0')) << "nothing of a plaintext that does not authenticate";
  }
}

TEST_F(Aead, GcmServesManyThreads) {
  const Aes256Gcm gcm(AsBytes(key_));
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  for (uint8_t id = 0; id < 8; ++id) {
    threads.emplace_back([&, id] {
      for (uint8_t round = 0; round < 100; ++round) {
        const GcmNonce nonce{id, round};
        const std::string plaintext(100, static_cast<char>(id));
        std::string opened;
        if (Open(gcm, nonce, "ad", Seal(gcm, nonce, "ad", plaintext), opened) && opened == plaintext) ++good;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 800);
}

TEST_F(Aead, BoxesOfOneTextAreNeverAlike) {
  std::set<std::string> boxes;
  for (int i = 0; i < 1000; ++i) boxes.insert(SealBox(AsBytes(key_), SystemRandom(), {}, AsBytes("same")));
  EXPECT_EQ(boxes.size(), 1000U);
}

TEST_F(Aead, BoxRefusesEveryFlippedBitAndTruncation) {
  const std::string box = SealBox(AsBytes(key_), SystemRandom(), AsBytes("ad"), AsBytes("secret"));
  EXPECT_EQ(box.size(), 6 + kBoxOverhead);
  for (size_t bit = 0; bit < box.size() * 8; ++bit) {
    std::string altered = box;
    altered[bit / 8] = static_cast<char>(altered[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_EQ(CauseOf(OpenBox(AsBytes(key_), AsBytes("ad"), AsBytes(altered)).status()), Cause::kCorrupt);
  }
  for (size_t size = 0; size < box.size(); ++size) {
    EXPECT_EQ(CauseOf(OpenBox(AsBytes(key_), AsBytes("ad"), AsBytes(box.substr(0, size))).status()),
              Cause::kCorrupt);
  }
}

TEST_F(Aead, BoxMayBeEmpty) {
  const std::string box = SealBox(AsBytes(key_), SystemRandom(), {}, {});
  EXPECT_TRUE(OpenBox(AsBytes(key_), {}, AsBytes(box))->empty());
}

TEST_F(Aead, SivRefusesEveryFlippedBit) {
  const Aes256Siv siv(AsBytes(std::string(64, 'k')));
  const std::string sealed = siv.Seal(AsBytes("dir"), AsBytes("a name"));
  for (size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    std::string altered = sealed;
    altered[bit / 8] = static_cast<char>(altered[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_EQ(CauseOf(siv.Open(AsBytes("dir"), AsBytes(altered)).status()), Cause::kCorrupt);
  }
}

TEST_F(Aead, SivTakesEveryLengthOfAName) {
  const Aes256Siv siv(AsBytes(std::string(64, 'k')));
  for (size_t size = 1; size <= 255; ++size) {
    const std::string name(size, 'n');
    const std::string sealed = siv.Seal(AsBytes("dir"), AsBytes(name));
    ASSERT_EQ(sealed.size(), size + kSivOverhead);
    ASSERT_EQ(*siv.Open(AsBytes("dir"), AsBytes(sealed)), name);
  }
}

TEST_F(Aead, SivIsOneForManyThreads) {
  const Aes256Siv siv(AsBytes(std::string(64, 'k')));
  const std::string sealed = siv.Seal(AsBytes("dir"), AsBytes("a name"));
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int turn = 0; turn < 1000; ++turn) {
        EXPECT_EQ(siv.Seal(AsBytes("dir"), AsBytes("a name")), sealed);
        EXPECT_EQ(*siv.Open(AsBytes("dir"), AsBytes(sealed)), "a name");
      }
    });
  }
}

// OpenSSL 3.0 authenticates no empty text: CVE-2023-2975.
TEST_F(Aead, SivOpensNothingWithoutCiphertext) {
  const Aes256Siv siv(AsBytes(std::string(64, 'k')));
  for (size_t size = 0; size <= kSivOverhead; ++size) {
    EXPECT_EQ(CauseOf(siv.Open(AsBytes("dir"), AsBytes(std::string(size, 'x'))).status()), Cause::kCorrupt);
  }
  EXPECT_DEATH(siv.Seal(AsBytes("dir"), {}), "");
  EXPECT_DEATH(siv.Seal({}, AsBytes("x")), "");
}

TEST_F(Aead, KeysOfAnotherSizeStopTheProcess) {
  EXPECT_DEATH(Aes256Gcm{AsBytes(std::string(31, 'k'))}, "");
  EXPECT_DEATH(Aes256Siv{AsBytes(key_)}, "");
}

}  // namespace
}  // namespace keyhold::crypto
