#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "api/handlers.h"
#include "control/organization.h"
#include "control/state.h"

namespace keyhold::api {
namespace {

using GaugeFamily = prometheus::Family<prometheus::Gauge>;

GaugeFamily& Gauge(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
}

void CountStates(const std::vector<control::ClusterView>& views, GaugeFamily& clusters) {
  for (const char* state : {"CREATING", "CREATED", "CREATION_FAILED", "LOCKED"}) {
    clusters.Add({{"state", state}}).Set(0);
  }
  for (const auto& view : views) clusters.Add({{"state", control::StateOf(view)}}).Increment();
}

void Locks(const std::vector<control::ClusterView>& views, GaugeFamily& locked, GaugeFamily& warning) {
  for (const auto& view : views) {
    const auto lock = control::LockOf(view);
    locked.Add({{"cluster_id", view.cluster.id}, {"cause", lock ? lock->cause : ""}}).Set(lock ? 1 : 0);
    warning.Add({{"cluster_id", view.cluster.id}}).Set(control::WarningOf(view) ? 1 : 0);
  }
}

void Ages(const Services& services, const std::vector<control::ClusterView>& views, GaugeFamily& probe,
          GaugeFamily& agent) {
  const absl::Time now = services.core.clock.Now();
  for (const auto& view : views) {
    for (const control::Node& node : view.nodes) {
      absl::Time at;
      std::string error;
      if (absl::ParseTime(absl::RFC3339_full, node.status.last_probe_at, &at, &error)) {
        probe.Add({{"cluster_id", view.cluster.id}, {"node_id", node.id}})
            .Set(absl::ToDoubleSeconds(now - at));
      }
      const absl::Time seen = services.fleet.LastSeen(node.host);
      if (seen != absl::InfinitePast())
        agent.Add({{"host", node.host}}).Set(absl::ToDoubleSeconds(now - seen));
    }
  }
}

struct ReencryptionGauges {
  GaugeFamily& ratio;
  GaugeFamily& rate;
  GaugeFamily& failed;
};

void Reencryptions(const std::vector<control::ClusterView>& views, const ReencryptionGauges& gauges) {
  for (const auto& view : views) {
    for (const control::Node& node : view.nodes) {
      const auto& now = node.status.reencryption;
      if (!now) continue;
      const prometheus::Labels labels = {{"cluster_id", view.cluster.id}, {"node_id", node.id}};
      const bool runs = now->state == "COUNTING" || now->state == "REWRITING" || now->state == "PROVING";
      gauges.ratio.Add(labels).Set(now->percent / 100);
      gauges.rate.Add(labels).Set(runs ? now->bytes_per_second : 0);
      gauges.failed.Add(labels).Set(now->state == "FAILED" ? 1 : 0);
    }
  }
}

void Recoveries(const std::vector<control::ClusterView>& views, GaugeFamily& used) {
  for (const auto& view : views) {
    for (const control::Node& node : view.nodes) {
      const auto& recovery = node.status.recovery;
      if (!recovery) continue;
      used.Add({{"cluster_id", view.cluster.id}, {"node_id", node.id}})
          .Set(recovery->used_at.empty() ? 0 : 1);
    }
  }
}

}  // namespace

StatusOr<Reply> GetHealth(Services& services, const Request&) {
  KEYHOLD_RETURN_IF_ERROR(control::GetOrganization(services.core).status());
  return Reply{200, "text/plain", "ok\n"};
}

StatusOr<Reply> GetMetrics(Services& services, const Request&) {
  KEYHOLD_ASSIGN_OR_RETURN(const auto views, services.clusters.All());
  prometheus::Registry registry;
  CountStates(views, Gauge(registry, "keyhold_clusters", "Clusters by state"));
  Locks(views, Gauge(registry, "keyhold_cluster_locked", "1 while the cluster is locked, with the cause"),
        Gauge(registry, "keyhold_cluster_warning", "1 while the KMS of a serving cluster is not reached"));
  Ages(services, views,
       Gauge(registry, "keyhold_node_last_probe_age_seconds",
             "Time since the node last proved its key usable"),
       Gauge(registry, "keyhold_agent_last_seen_age_seconds", "Time since the host's agent was heard of"));
  Reencryptions(views, {Gauge(registry, "keyhold_node_reencrypted_ratio",
                              "How much of the store is known to be under its active data key, 0 to 1"),
                        Gauge(registry, "keyhold_node_reencryption_bytes_per_second",
                              "What re-encryption reads and writes; 0 while there is none"),
                        Gauge(registry, "keyhold_node_reencryption_failed",
                              "1 while re-encryption has failed and waits to be tried again")});
  Recoveries(views, Gauge(registry, "keyhold_node_recovery_used",
                          "1 where a recovery key has opened the node's store without its KMS"));
  return Reply{200, "text/plain; version=0.0.4", prometheus::TextSerializer().Serialize(registry.Collect())};
}

}  // namespace keyhold::api
