#include "api/failed_logins.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <spdlog/spdlog.h>

namespace keyhold::api {
namespace {

constexpr size_t kManyAddresses = 10'000;

// Who has one address of IPv6 has the 2^64 of its network.
std::string NetworkOf(const std::string& address) {
  in6_addr v6{};
  if (inet_pton(AF_INET6, address.c_str(), &v6) != 1 || IN6_IS_ADDR_V4MAPPED(&v6)) return address;
  return std::string(reinterpret_cast<const char*>(v6.s6_addr), sizeof v6.s6_addr / 2);
}

}  // namespace

absl::Duration FailedLogins::Add(const std::string& address, absl::Time now) {
  if (allowed_ <= 0) return absl::ZeroDuration();
  const std::lock_guard lock(mutex_);
  if (counts_.size() > kManyAddresses) {
    std::erase_if(counts_, [&](const auto& entry) { return now - entry.second.since > kFailureWindow; });
  }
  Count& count = counts_[NetworkOf(address)];
  if (now - count.since > kFailureWindow || now < count.since) count = Count{0, now};
  if (++count.failures <= allowed_) return absl::ZeroDuration();
  if (count.failures == allowed_ + 1) {
    spdlog::warn("{} tried {} API keys that are not valid; it is locked out for a while", address, allowed_);
  }
  return count.since + kFailureWindow - now;
}

}  // namespace keyhold::api
