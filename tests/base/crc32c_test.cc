#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <numeric>
#include <string_view>
#include <vector>

namespace keyhold {
namespace {

uint32_t Of(std::string_view text) {
  return Crc32c({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

TEST(Crc32cTest, AgreesWithTheRfcsVectors) {  // RFC 3720 B.4, whose bytes are in wire order
  EXPECT_EQ(Crc32c(std::vector<uint8_t>(32, 0)), 0x8a9136aaU);
  EXPECT_EQ(Crc32c(std::vector<uint8_t>(32, 0xff)), 0x62a8ab43U);
  std::vector<uint8_t> counting(32);
  std::iota(counting.begin(), counting.end(), uint8_t{0});
  EXPECT_EQ(Crc32c(counting), 0x46dd794eU);
}

TEST(Crc32cTest, AgreesWithTheUsualCheckValue) {
  EXPECT_EQ(Of("123456789"), 0xe3069283U);
  EXPECT_EQ(Of(""), 0U);
}

}  // namespace
}  // namespace keyhold
