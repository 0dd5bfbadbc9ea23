// The CMEK operations that several commands share.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/session.h"

namespace keyhold::cli {

enum class CmekOperation { kEnable, kRotate, kWhicheverFits };

// Has the server take `body` (key_spec.h) for `cluster`: POST to enable, PUT to rotate or to bring a revoked
// cluster back. With `wait`, until it has ended. The result is CMEKClusterInfo. kFailedPrecondition: it ended
// in ENABLE_FAILED or ROTATE_FAILED; the message is the key's user_message.
StatusOr<nlohmann::json> ApplyCmek(Session& session, const ApiClient& api, const nlohmann::json& cluster,
                                   const nlohmann::json& body, CmekOperation operation, bool wait);

// Revokes, and with `wait` until it is done.
StatusOr<nlohmann::json> RevokeCmek(Session& session, const ApiClient& api, const nlohmann::json& cluster,
                                    bool wait);

// The spec of the key in force in a region of CMEKClusterInfo; null where there is none.
nlohmann::json KeySpecInForce(const nlohmann::json& region_info);

// The keys in force of a cluster, as the body of POST and PUT.
nlohmann::json KeysInForce(const nlohmann::json& cluster);

// What the cluster does while its KMS does not answer, from `info`'s policy: "serve on for 15m, then lock".
std::string UnreachableText(const nlohmann::json& info);

// "Cluster: ...", "CMEK Status: ...", and each region's keys.
void PrintCmek(Output& output, const std::string& cluster_name, const nlohmann::json& info);

}  // namespace keyhold::cli
