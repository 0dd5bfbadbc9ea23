// Who may connect to a cluster's SQL port.
#pragma once

#include <string>
#include <vector>

#include "control/core.h"

namespace keyhold::control {

// Safe to use from any thread. Every change, made or refused, is in the audit log. Changes return when the
// cluster's nodes have taken them up (AwaitObserved). An entry is found by address and mask.
class Allowlist {
 public:
  explicit Allowlist(Core& core) : core_(core) {}

  // By address. `propagating`: a node has not taken up the list as it is now.
  struct Listing {
    std::vector<AllowlistEntry> entries;
    bool propagating = false;
  };
  StatusOr<Listing> List(const std::string& cluster_id);

  // kInvalidArgument: address, mask or name; kAlreadyExists.
  StatusOr<AllowlistEntry> Add(const Caller& caller, const AllowlistEntry& entry);

  // As Add(), or replaces the entry that is there.
  StatusOr<AllowlistEntry> Put(const Caller& caller, const AllowlistEntry& entry);

  // Replaces the entry, which must be there; `entry`.name empty: its name stays. kNotFound.
  StatusOr<AllowlistEntry> Update(const Caller& caller, const AllowlistEntry& entry);

  // kNotFound. Open sessions stay.
  StatusOr<AllowlistEntry> Delete(const Caller& caller, const AllowlistEntry& entry);

 private:
  enum class Expect { kNew, kPresent, kAny };
  StatusOr<AllowlistEntry> Store(class Audit& audit, const AllowlistEntry& entry, Expect expect);
  StatusOr<AllowlistEntry> Remove(class Audit& audit, const AllowlistEntry& entry);

  Core& core_;
};

// The entry with its address as inet_ntop(3) writes it. kInvalidArgument: no address, a mask that does not
// fit, bits set beyond the mask, or a name of more than 100 or unprintable characters.
StatusOr<AllowlistEntry> Normalized(AllowlistEntry entry);

}  // namespace keyhold::control
