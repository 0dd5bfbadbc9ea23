#include "wire/node.h"

#include <array>
#include <nlohmann/json.hpp>

namespace keyhold::wire {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 7> kStateNames = {"STARTING", "SERVING", "LOCKING", "LOCKED",
                                                         "STOPPING", "STOPPED", "FAILED"};

// A list of (name, field) pairs serves both directions, so that the two cannot drift apart.
template <typename Visitor>
void Fields(Visitor& visit, KeySpec& v) {
  visit("type", v.type);
  visit("uri", v.uri);
  visit("auth_principal", v.auth_principal);
}

template <typename Visitor>
void Fields(Visitor& visit, SqlUser& v) {
  visit("name", v.name);
  visit("scram_verifier", v.scram_verifier);
}

template <typename Visitor>
void Fields(Visitor& visit, DesiredCmek& v) {
  visit("generation", v.generation);
  visit("key_spec", v.key_spec);
}

template <typename Visitor>
void Fields(Visitor& visit, Trouble& v) {
  visit("cause", v.cause);
  visit("message", v.message);
  visit("since", v.since);
}

template <typename Visitor>
void Fields(Visitor& visit, Evidence& v) {
  visit("started_at", v.started_at);
  visit("proved_at", v.proved_at);
  visit("blocks", v.blocks);
  visit("others", v.others);
  visit("files", v.files);
  visit("directories", v.directories);
  visit("links", v.links);
}

template <typename Visitor>
void Fields(Visitor& visit, Reencryption& v) {
  visit("state", v.state);
  visit("percent", v.percent);
  visit("blocks_total", v.blocks_total);
  visit("blocks_done", v.blocks_done);
  visit("bytes_per_second", v.bytes_per_second);
  visit("remaining_s", v.remaining_s);
  visit("started_at", v.started_at);
  visit("failure", v.failure);
  visit("proof", v.proof);
}

template <typename Visitor>
void Fields(Visitor& visit, KeyVersion& v) {
  visit("name", v.name);
  visit("may_be_destroyed", v.may_be_destroyed);
}

template <typename Visitor>
void Fields(Visitor& visit, KeyInfo& v) {
  visit("spec", v.spec);
  visit("status", v.status);
  visit("user_message", v.user_message);
  visit("created_at", v.created_at);
  visit("updated_at", v.updated_at);
  visit("may_be_destroyed", v.may_be_destroyed);
  visit("evidence", v.evidence);
  visit("version", v.version);
}

template <typename Visitor>
void Fields(Visitor& visit, CheckStep& v) {
  visit("name", v.name);
  visit("result", v.result);
  visit("cause", v.cause);
  visit("message", v.message);
  visit("micros", v.micros);
}

template <typename Visitor>
void Fields(Visitor& visit, DesiredNode& v) {
  visit("generation", v.generation);
  visit("node_id", v.node_id);
  visit("cluster_id", v.cluster_id);
  visit("cluster_name", v.cluster_name);
  visit("organization_id", v.organization_id);
  visit("cloud", v.cloud);
  visit("region", v.region);
  visit("cmek", v.cmek);
  visit("revoked", v.revoked);
  visit("sql_listen", v.sql_listen);
  visit("probe_interval_ms", v.probe_interval_ms);
  visit("unreachable_grace_ms", v.unreachable_grace_ms);
  visit("data_key_max_age_s", v.data_key_max_age_s);
  visit("allowlist", v.allowlist);
  visit("sql_users", v.sql_users);
  visit("recovery_public_key", v.recovery_public_key);
  visit("min_key_ring_epoch", v.min_key_ring_epoch);
  visit("min_store_generation", v.min_store_generation);
}

template <typename Visitor>
void Fields(Visitor& visit, Recovery& v) {
  visit("key_id", v.key_id);
  visit("created_at", v.created_at);
  visit("used_at", v.used_at);
}

template <typename Visitor>
void Fields(Visitor& visit, NodeStatus& v) {
  visit("version", v.version);
  visit("node_id", v.node_id);
  visit("observed_generation", v.observed_generation);
  visit("cmek_generation", v.cmek_generation);
  visit("state", v.state);
  visit("cmek_status", v.cmek_status);
  visit("keys", v.keys);
  visit("lock", v.lock);
  visit("warning", v.warning);
  visit("locks_at", v.locks_at);
  visit("failure", v.failure);
  visit("key_ring_epoch", v.key_ring_epoch);
  visit("store_generation", v.store_generation);
  visit("last_probe_at", v.last_probe_at);
  visit("sql_address", v.sql_address);
  visit("ca_pem", v.ca_pem);
  visit("reencryption", v.reencryption);
  visit("recovery", v.recovery);
  visit("accepted_at", v.accepted_at);
}

template <typename Visitor>
void Fields(Visitor& visit, CheckReport& v) {
  visit("usable", v.usable);
  visit("steps", v.steps);
}

class Writer {
 public:
  template <typename T>
  void operator()(const char* name, const T& value) {
    out[name] = Convert(value);
  }
  json out = json::object();

 private:
  template <typename T>
  static json Convert(const T& value) {
    return value;
  }
  static json Convert(NodeState state) { return NodeStateName(state); }
  template <typename T>
  static json Convert(const std::optional<T>& value) {
    return value ? Object(*value) : json(nullptr);
  }
  template <typename T>
  requires requires(Writer& w, T& t) { Fields(w, t); }
  static json Convert(const T& value) { return Object(value); }
  template <typename T>
  static json Convert(const std::vector<T>& values) {
    json list = json::array();
    for (const T& value : values) list.push_back(Convert(value));
    return list;
  }
  template <typename T>
  static json Object(const T& value) {
    Writer writer;
    Fields(writer, const_cast<T&>(value));
    return std::move(writer.out);
  }
};

// Throws json::exception on a wrong type; Read() below turns that into a status.
class Reader {
 public:
  explicit Reader(const json& in) : in_(in) {}
  template <typename T>
  void operator()(const char* name, T& value) {
    const auto found = in_.find(name);
    if (found != in_.end() && !found->is_null()) Convert(*found, value);
  }

 private:
  template <typename T>
  static void Convert(const json& in, T& value) {
    if constexpr (requires(Reader & r) { Fields(r, value); }) {
      if (!in.is_object()) throw json::type_error::create(302, "not an object", &in);
      Reader reader(in);
      Fields(reader, value);
    } else {
      in.get_to(value);
    }
  }
  static void Convert(const json& in, NodeState& state) {
    const auto name = in.get<std::string>();
    for (size_t i = 0; i < kStateNames.size(); ++i) {
      if (kStateNames[i] == name) {
        state = static_cast<NodeState>(i);
        return;
      }
    }
    throw json::type_error::create(302, "not a node state: " + name, &in);
  }
  template <typename T>
  static void Convert(const json& in, std::optional<T>& value) {
    Convert(in, value.emplace());
  }
  template <typename T>
  static void Convert(const json& in, std::vector<T>& values) {
    if (!in.is_array()) throw json::type_error::create(302, "not an array", &in);
    values.clear();
    for (const json& element : in) Convert(element, values.emplace_back());
  }
  const json& in_;
};

template <typename T>
json Write(const T& value) {
  Writer writer;
  Fields(writer, const_cast<T&>(value));
  return std::move(writer.out);
}

template <typename T>
StatusOr<T> Read(const json& in, const char* what) {
  if (!in.is_object()) return Error(Cause::kInvalidArgument, std::string(what) + " must be a JSON object");
  try {
    T value;
    Reader reader(in);
    Fields(reader, value);
    return value;
  } catch (const json::exception& e) {
    return Error(Cause::kInvalidArgument, std::string(what) + " is malformed: " + e.what());
  }
}

}  // namespace

std::string_view NodeStateName(NodeState state) { return kStateNames[static_cast<size_t>(state)]; }

json ToJson(const KeySpec& value) { return Write(value); }
json ToJson(const DesiredNode& value) { return Write(value); }
json ToJson(const NodeStatus& value) { return Write(value); }
json ToJson(const CheckReport& value) { return Write(value); }
json ToJson(const Evidence& value) { return Write(value); }
json ToJson(const KeyVersion& value) { return Write(value); }
json ToJson(const Reencryption& value) { return Write(value); }

StatusOr<KeySpec> KeySpecFromJson(const json& in) { return Read<KeySpec>(in, "a key spec"); }
StatusOr<DesiredNode> DesiredNodeFromJson(const json& in) { return Read<DesiredNode>(in, "a desired node"); }
StatusOr<NodeStatus> NodeStatusFromJson(const json& in) { return Read<NodeStatus>(in, "a node status"); }
StatusOr<CheckReport> CheckReportFromJson(const json& in) { return Read<CheckReport>(in, "a check report"); }

}  // namespace keyhold::wire
