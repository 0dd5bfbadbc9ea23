#include "gateway/allowlist.h"

#include <arpa/inet.h>

#include <algorithm>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace keyhold::gateway {
namespace {

using Address = std::array<uint8_t, 16>;
constexpr int kMappedBits = 96;  // ::ffff:0:0/96

struct Parsed {
  Address address{};
  bool v4 = false;
};

std::optional<Parsed> ParseAddress(const std::string& text) {
  Parsed out;
  if (inet_pton(AF_INET, text.c_str(), out.address.data() + 12) == 1) {
    out.address[10] = out.address[11] = 0xff;
    out.v4 = true;
    return out;
  }
  if (inet_pton(AF_INET6, text.c_str(), out.address.data()) != 1) return std::nullopt;
  out.v4 = IN6_IS_ADDR_V4MAPPED(reinterpret_cast<const in6_addr*>(out.address.data()));
  return out;
}

bool Bit(const Address& address, int index) {
  return (address[static_cast<size_t>(index) / 8] >> (7 - index % 8) & 1) != 0;
}

bool SamePrefix(const Address& a, const Address& b, int bits) {
  const size_t whole = static_cast<size_t>(bits) / 8;
  if (!std::equal(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(whole), b.begin())) return false;
  for (int i = bits / 8 * 8; i < bits; ++i) {
    if (Bit(a, i) != Bit(b, i)) return false;
  }
  return true;
}

bool BitsAfter(const Address& address, int bits) {
  for (int i = bits; i < 128; ++i) {
    if (Bit(address, i)) return true;
  }
  return false;
}

Status BadCidr(std::string_view cidr, std::string_view why) {
  return Error(Cause::kInvalidArgument,
               absl::StrCat("allowlist entry \"", std::string(cidr), "\" ", std::string(why),
                            "; write it as 203.0.113.0/24 or 2001:db8::/32"));
}

}  // namespace

StatusOr<Allowlist::Network> Allowlist::ParseOne(std::string_view cidr) {
  const size_t slash = cidr.find('/');
  const auto parsed = ParseAddress(std::string(cidr.substr(0, slash)));
  if (!parsed) return BadCidr(cidr, "is not an address");
  const bool dotted = cidr.find(':') == std::string_view::npos;
  const int most = dotted ? 32 : 128;
  int bits = most;
  if (slash != std::string_view::npos) {
    const std::string text(cidr.substr(slash + 1));
    const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
    if (!digits || !absl::SimpleAtoi(text, &bits) || bits > most) {
      return BadCidr(cidr, absl::StrCat("needs a prefix length from 0 to ", most));
    }
  }
  const Network network{
      .address = parsed->address, .v4 = parsed->v4, .bits = bits + (dotted ? kMappedBits : 0)};
  if (BitsAfter(network.address, network.bits)) return BadCidr(cidr, "has bits set after its prefix");
  return network;
}

StatusOr<Allowlist> Allowlist::Parse(const std::vector<std::string>& cidrs) {
  Allowlist list;
  for (const std::string& cidr : cidrs) {
    KEYHOLD_ASSIGN_OR_RETURN(const Network network, ParseOne(cidr));
    list.networks_.push_back(network);
  }
  return list;
}

bool Allowlist::Contains(std::string_view address) const {
  const auto parsed = ParseAddress(std::string(address));
  if (!parsed) return false;
  return std::any_of(networks_.begin(), networks_.end(), [&](const Network& network) {
    return network.v4 == parsed->v4 && SamePrefix(network.address, parsed->address, network.bits);
  });
}

}  // namespace keyhold::gateway
