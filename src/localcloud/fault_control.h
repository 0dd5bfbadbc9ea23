// How `keyhold localcloud fault` reaches the local cloud that runs: HTTP with JSON (fault.h) over the socket
// `control.sock` in its directory. Both are their owner's alone (0700, 0600), so only the owner and root
// order faults.
//
//   GET /faults          [FAULT, ...]           POST /faults with an ORDER    {"id": N}
//   DELETE /faults/N     {}                     DELETE /faults                {}
// Errors are {"cause": NAME, "message": TEXT} with a 4xx or 5xx status.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "localcloud/fault_gate.h"

namespace keyhold::localcloud {

class FaultControl {
 public:
  // Listens in `dir` until the object goes; a socket that an earlier process left is replaced. `gate` must
  // outlive it. kIo.
  static StatusOr<std::unique_ptr<FaultControl>> Start(const std::string& dir, FaultGate& gate);
  virtual ~FaultControl() = default;
};

// Asks the local cloud that runs in `dir`. kUnavailable: none does. kPermissionDenied: it is another user's.
// Else what FaultGate says.
StatusOr<uint64_t> AddFault(const std::string& dir, const FaultOrder& order);
StatusOr<std::vector<Fault>> ListFaults(const std::string& dir);
Status ClearFaults(const std::string& dir, std::optional<uint64_t> id);  // none: all

}  // namespace keyhold::localcloud
