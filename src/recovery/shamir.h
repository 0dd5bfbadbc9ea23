// Shamir's secret sharing over GF(2^8), byte by byte, by libgfshare: any `threshold` of the shares give the
// secret, and fewer tell nothing about it.
#pragma once

#include <cstdint>
#include <vector>

#include "crypto/random.h"

namespace keyhold::recovery {

inline constexpr int kMinThreshold = 2;
inline constexpr int kMaxShares = 255;  // numbers are elements of GF(2^8), without zero

struct NumberedShare {
  uint8_t number = 0;  // from 1
  crypto::SecretBytes bytes;
};

// `count` shares, as long as `secret`, numbered from 1. kMinThreshold <= threshold <= count <= kMaxShares.
std::vector<NumberedShare> Split(crypto::Bytes secret, int threshold, int count, crypto::Random& random);

// The secret of `shares`, which are as many as the threshold, have different numbers and one size. Of others,
// or of too few, what comes out is no error and has nothing to do with the secret.
crypto::SecretBytes Join(const std::vector<NumberedShare>& shares);

}  // namespace keyhold::recovery
