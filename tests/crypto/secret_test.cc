#include "crypto/secret.h"

#include <gtest/gtest.h>
#include <openssl/crypto.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <type_traits>

#include "crypto/random.h"

namespace keyhold::crypto {
namespace {

using FirstKey = Key<struct FirstTag>;
using SecondKey = Key<struct SecondTag>;
static_assert(!std::is_copy_constructible_v<SecretBytes> && !std::is_copy_assignable_v<SecretBytes>);
static_assert(!std::is_convertible_v<FirstKey, SecondKey> && !std::is_constructible_v<SecondKey, FirstKey>);

class Secret : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(InitSecretMemory().ok()); }
};

TEST_F(Secret, LivesInLockedMemory) {
  const SecretBytes secret = SecretBytes::CopyOf(AsBytes("k"));
  EXPECT_EQ(CRYPTO_secure_allocated(secret.Expose().data()), 1);
}

TEST_F(Secret, IsWipedWhenItGoes) {
  const uint8_t* where = nullptr;
  {
    const SecretBytes secret = SecretBytes::CopyOf(AsBytes("0123456789abcdef0123456789abcdef"));
    where = secret.Expose().data();
  }
  // The secure heap stays mapped; its own bookkeeping may use the first words of a freed piece.
  EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(where) + 16, 16),
            std::string_view("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16));
}

TEST_F(Secret, MovesLeaveNothingBehind) {
  SecretBytes a = SecretBytes::CopyOf(AsBytes("abc"));
  const SecretBytes b = std::move(a);
  EXPECT_TRUE(a.empty());  // NOLINT(bugprone-use-after-move): that is what is tested
  EXPECT_EQ(b.ExposeText(), "abc");
}

TEST_F(Secret, ProcessLeavesNoCore) {
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_CORE, &limit), 0);
  EXPECT_EQ(limit.rlim_cur, 0U);
  EXPECT_EQ(prctl(PR_GET_DUMPABLE), 0);
}

TEST_F(Secret, KeyMustHave32Bytes) {
  EXPECT_EQ(CauseOf(FirstKey::From(SecretBytes(31)).status()), Cause::kInvalidArgument);
  EXPECT_TRUE(FirstKey::From(SystemRandom().Secret(32)).ok());
}

TEST_F(Secret, UuidHasVersionAndVariant) {
  const std::string id = NewUuid(SystemRandom());
  ASSERT_EQ(id.size(), 36U);
  EXPECT_EQ(id[14], '4');
  EXPECT_NE(std::string("89ab").find(id[19]), std::string::npos);
  EXPECT_NE(id, NewUuid(SystemRandom()));
}

}  // namespace
}  // namespace keyhold::crypto
