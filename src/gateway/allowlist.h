// Who may connect, by address: a list of CIDRs (RFC 4632, RFC 4291 section 2.3).
//
// A value; safe to read from any thread. An IPv4 address that arrives mapped into IPv6 (::ffff:a.b.c.d) is
// held against the IPv4 entries, and only those: ::/0 lets nobody of IPv4 in.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace keyhold::gateway {

class Allowlist {
 public:
  // Each entry is ADDR/BITS or ADDR. kInvalidArgument names the first that is neither, or that has bits set
  // to the right of its prefix: 10.0.0.1/8 is a mistake more often than a wish.
  static StatusOr<Allowlist> Parse(const std::vector<std::string>& cidrs);

  // `address` in text, without a zone. False for what is not an address, and always when the list is empty.
  bool Contains(std::string_view address) const;

  size_t size() const { return networks_.size(); }

 private:
  struct Network {
    std::array<uint8_t, 16> address{};
    bool v4 = false;
    int bits = 128;  // of the mapped form
  };
  static StatusOr<Network> ParseOne(std::string_view cidr);

  std::vector<Network> networks_;
};

}  // namespace keyhold::gateway
