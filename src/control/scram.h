// SCRAM-SHA-256 verifiers: what PostgreSQL keeps instead of a password (RFC 5802, RFC 7677, RFC 5803).
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "crypto/random.h"

namespace keyhold::control {

inline constexpr int kScramIterations = 4096;  // PostgreSQL 15's, the least that RFC 7677 section 4 allows
inline constexpr size_t kScramSaltSize = 16;   // bytes, as PostgreSQL's
inline constexpr size_t kMinPasswordSize = 8;
inline constexpr size_t kMaxPasswordSize = 128;

// kInvalidArgument unless `password` has kMinPasswordSize to kMaxPasswordSize printable ASCII characters,
// which SASLprep (RFC 4013) leaves as they are.
Status CheckPassword(std::string_view password);

// pg_authid.rolpassword for `password`, which has passed CheckPassword(), under a fresh salt:
// SCRAM-SHA-256$4096:SALT$STOREDKEY:SERVERKEY, the three in base64.
std::string ScramVerifier(std::string_view password, crypto::Random& random);

}  // namespace keyhold::control
