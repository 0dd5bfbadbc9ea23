#include "api/handlers.h"
#include "api/json_input.h"
#include "api/views.h"

namespace keyhold::api {
namespace {

using control::ClusterView;
using control::RecoveryKey;
using nlohmann::json;

constexpr size_t kMaxPem = 4096;  // bytes; its lines make it no text for ObjectReader::Text()
constexpr int64_t kMostShares = 255;

StatusOr<RecoveryKey> KeyOf(const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const json object, ParseObject(request.body));
  ObjectReader body(object, "");
  RecoveryKey key;
  const json* pem = body.Value("public_key");
  if (pem != nullptr && pem->is_string() && pem->get_ref<const std::string&>().size() <= kMaxPem) {
    key.public_key = pem->get<std::string>();
  } else {
    body.Fail(Error(Cause::kInvalidArgument, "public_key must be an RSA public key in PEM"));
  }
  key.threshold = body.Number("threshold", 0, kMostShares).value_or(0);
  key.shares = body.Number("shares", 0, kMostShares).value_or(0);
  KEYHOLD_RETURN_IF_ERROR(body.Finish());
  return key;
}

StatusOr<Reply> RecoveryReply(const StatusOr<ClusterView>& view) {
  if (!view.ok()) return view.status();
  return Reply::Json(RecoveryJson(*view));
}

const std::string& ClusterId(const Request& request) { return request.path.at("cluster_id"); }

}  // namespace

StatusOr<Reply> GetCmekRecovery(Services& services, const Request& request) {
  return RecoveryReply(services.clusters.Get(ClusterId(request)));
}

StatusOr<Reply> PutCmekRecovery(Services& services, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const RecoveryKey key, KeyOf(request));
  return RecoveryReply(services.cmek.SetRecoveryKey(request.caller, ClusterId(request), key));
}

StatusOr<Reply> DeleteCmekRecovery(Services& services, const Request& request) {
  return RecoveryReply(services.cmek.SetRecoveryKey(request.caller, ClusterId(request), std::nullopt));
}

}  // namespace keyhold::api
