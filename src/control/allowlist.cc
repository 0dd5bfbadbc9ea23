#include "control/allowlist.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "control/audit.h"

namespace keyhold::control {
namespace {

constexpr size_t kMaxNameSize = 100;
constexpr size_t kMaxEntries = 500;

nlohmann::json PayloadOf(const AllowlistEntry& e) {
  return nlohmann::json{
      {"cidr_ip", e.cidr_ip}, {"cidr_mask", e.cidr_mask}, {"name", e.name}, {"sql", e.sql}, {"ui", e.ui}};
}

std::optional<AllowlistEntry> Find(const std::vector<AllowlistEntry>& entries, const AllowlistEntry& entry) {
  const auto found = std::find_if(entries.begin(), entries.end(), [&](const AllowlistEntry& e) {
    return e.cidr_ip == entry.cidr_ip && e.cidr_mask == entry.cidr_mask;
  });
  if (found == entries.end()) return std::nullopt;
  return *found;
}

std::string CidrOf(const AllowlistEntry& entry) { return absl::StrCat(entry.cidr_ip, "/", entry.cidr_mask); }

bool BitsBeyond(const std::array<uint8_t, 16>& address, int64_t mask, int64_t bits) {
  for (int64_t bit = mask; bit < bits; ++bit) {
    if ((address[bit / 8] >> (7 - bit % 8)) & 1) return true;
  }
  return false;
}

Status CheckEntryName(const std::string& name) {
  if (name.size() <= kMaxNameSize &&
      std::all_of(name.begin(), name.end(), [](char c) { return c >= ' ' && c <= '~'; })) {
    return OkStatus();
  }
  return Error(Cause::kInvalidArgument,
               "an allowlist entry's name has at most 100 printable ASCII characters");
}

Status NoSuchEntry(const AllowlistEntry& entry, const Cluster& cluster) {
  return Error(Cause::kNotFound,
               absl::StrCat("the allowlist of cluster ", cluster.name, " has no entry ", CidrOf(entry)));
}

Status CheckExpected(const std::vector<AllowlistEntry>& entries, const AllowlistEntry& entry,
                     const Cluster& cluster, bool must_be_new, bool must_be_there) {
  const bool present = Find(entries, entry).has_value();
  if (present && must_be_new) {
    return Error(Cause::kAlreadyExists,
                 absl::StrCat("the allowlist of cluster ", cluster.name, " has ", CidrOf(entry), " already"));
  }
  if (!present && must_be_there) return NoSuchEntry(entry, cluster);
  if (!present && entries.size() >= kMaxEntries) {
    return Error(Cause::kResourceExhausted,
                 absl::StrCat("an allowlist has at most ", kMaxEntries, " entries"));
  }
  return OkStatus();
}

}  // namespace

StatusOr<AllowlistEntry> Normalized(AllowlistEntry entry) {
  std::array<uint8_t, 16> address{};
  const int family = entry.cidr_ip.find(':') == std::string::npos ? AF_INET : AF_INET6;
  const int64_t bits = family == AF_INET ? 32 : 128;
  if (entry.cidr_ip.find('\0') != std::string::npos ||
      inet_pton(family, entry.cidr_ip.c_str(), address.data()) != 1) {
    return Error(Cause::kInvalidArgument, "cidr_ip must be an IPv4 or IPv6 address, such as 10.0.0.0");
  }
  if (entry.cidr_mask < 0 || entry.cidr_mask > bits) {
    return Error(Cause::kInvalidArgument, absl::StrCat("cidr_mask must be 0 to ", bits, " for this address"));
  }
  if (BitsBeyond(address, entry.cidr_mask, bits)) {
    return Error(Cause::kInvalidArgument,
                 absl::StrCat("the address has bits beyond its mask: is the network meant, or ",
                              entry.cidr_ip, "/", bits, "?"));
  }
  KEYHOLD_RETURN_IF_ERROR(CheckEntryName(entry.name));
  char text[INET6_ADDRSTRLEN];
  entry.cidr_ip = inet_ntop(family, address.data(), text, sizeof text);
  return entry;
}

StatusOr<Allowlist::Listing> Allowlist::List(const std::string& cluster_id) {
  Listing listing;
  KEYHOLD_RETURN_IF_ERROR(core_.store.Read([&](Tables& tables) -> Status {
    KEYHOLD_ASSIGN_OR_RETURN(const ClusterView view, FindCluster(tables, cluster_id));
    listing.entries = tables.allowlist.OfCluster(cluster_id);
    listing.propagating = std::any_of(view.nodes.begin(), view.nodes.end(), [](const Node& node) {
      return !node.reported || node.status.observed_generation < node.generation;
    });
    return OkStatus();
  }));
  return listing;
}

StatusOr<AllowlistEntry> Allowlist::Add(const Caller& caller, const AllowlistEntry& entry) {
  Audit audit(core_, caller, "ADD_IP_ALLOWLIST", PayloadOf(entry));
  return audit.Outcome(Store(audit, entry, Expect::kNew));
}

StatusOr<AllowlistEntry> Allowlist::Put(const Caller& caller, const AllowlistEntry& entry) {
  Audit audit(core_, caller, "ADD_IP_ALLOWLIST", PayloadOf(entry));
  return audit.Outcome(Store(audit, entry, Expect::kAny));
}

StatusOr<AllowlistEntry> Allowlist::Update(const Caller& caller, const AllowlistEntry& entry) {
  Audit audit(core_, caller, "EDIT_IP_ALLOWLIST", PayloadOf(entry));
  return audit.Outcome(Store(audit, entry, Expect::kPresent));
}

StatusOr<AllowlistEntry> Allowlist::Delete(const Caller& caller, const AllowlistEntry& entry) {
  Audit audit(core_, caller, "DELETE_IP_ALLOWLIST", PayloadOf(entry));
  return audit.Outcome(Remove(audit, entry));
}

StatusOr<AllowlistEntry> Allowlist::Store(Audit& audit, const AllowlistEntry& given, Expect expect) {
  KEYHOLD_ASSIGN_OR_RETURN(AllowlistEntry entry, Normalized(given));
  KEYHOLD_RETURN_IF_ERROR(audit.Commit([&](Tables& tables) -> Status {
    KEYHOLD_ASSIGN_OR_RETURN(const ClusterView view, FindClusterToChange(tables, entry.cluster_id));
    audit.About(entry.cluster_id, view.cluster.name);
    const auto entries = tables.allowlist.OfCluster(entry.cluster_id);
    KEYHOLD_RETURN_IF_ERROR(
        CheckExpected(entries, entry, view.cluster, expect == Expect::kNew, expect == Expect::kPresent));
    if (expect == Expect::kPresent && entry.name.empty()) entry.name = Find(entries, entry)->name;
    tables.allowlist.Put(entry);
    tables.nodes.BumpGenerations(entry.cluster_id);
    return OkStatus();
  }));
  AwaitObserved(core_, entry.cluster_id);
  return entry;
}

StatusOr<AllowlistEntry> Allowlist::Remove(Audit& audit, const AllowlistEntry& given) {
  KEYHOLD_ASSIGN_OR_RETURN(AllowlistEntry entry, Normalized(given));
  KEYHOLD_RETURN_IF_ERROR(audit.Commit([&](Tables& tables) -> Status {
    KEYHOLD_ASSIGN_OR_RETURN(const ClusterView view, FindClusterToChange(tables, entry.cluster_id));
    audit.About(entry.cluster_id, view.cluster.name);
    const auto found = Find(tables.allowlist.OfCluster(entry.cluster_id), entry);
    if (!found) return NoSuchEntry(entry, view.cluster);
    entry = *found;
    tables.allowlist.Delete(entry.cluster_id, entry.cidr_ip, entry.cidr_mask);
    tables.nodes.BumpGenerations(entry.cluster_id);
    return OkStatus();
  }));
  AwaitObserved(core_, entry.cluster_id);
  return entry;
}

}  // namespace keyhold::control
