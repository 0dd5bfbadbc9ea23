// The bodies of token requests, whose fields are secrets.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "crypto/secret.h"

namespace keyhold::kms {

// application/x-www-form-urlencoded, in the order given.
crypto::SecretBytes Form(const std::vector<std::pair<std::string_view, std::string_view>>& fields);

}  // namespace keyhold::kms
