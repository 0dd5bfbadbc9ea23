#include "control/tables.h"

#include <array>
#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "control/clusters.h"
#include "control/roles.h"
#include "control/sql.h"

namespace keyhold::control {
namespace {

using nlohmann::json;
using soci::use;

int64_t ToMicros(absl::Time time) { return time == absl::InfinitePast() ? 0 : absl::ToUnixMicros(time); }
absl::Time FromMicros(int64_t micros) {
  return micros == 0 ? absl::InfinitePast() : absl::FromUnixMicros(micros);
}

// A row by column names, in this room's types.
class Row {
 public:
  explicit Row(const soci::row& row) : row_(row) {}
  std::string Text(const char* name) const { return row_.get<std::string>(name); }
  bool Flag(const char* name) const { return row_.get<int>(name) != 0; }
  int64_t Number(const char* name) const { return row_.get<long long>(name); }
  absl::Time Time(const char* name) const { return FromMicros(Number(name)); }

 private:
  const soci::row& row_;
};

template <typename T, typename Convert>
std::vector<T> Collect(const soci::rowset<soci::row>& rows, Convert convert) {
  std::vector<T> values;
  for (const soci::row& row : rows) values.push_back(convert(Row(row)));
  return values;
}

template <typename T>
std::optional<T> First(std::vector<T> values) {
  if (values.empty()) return std::nullopt;
  return std::move(values.front());
}

json HardwareJson(const Hardware& h) {
  return {{"machine_type", h.machine_type},
          {"num_virtual_cpus", h.num_virtual_cpus},
          {"storage_gib", h.storage_gib},
          {"disk_iops", h.disk_iops}};
}

Hardware HardwareFrom(const json& in) {
  return {in.value("machine_type", ""), in.value("num_virtual_cpus", int64_t{4}),
          in.value("storage_gib", int64_t{15}), in.value("disk_iops", int64_t{0})};
}

// What this room wrote itself does not read back: the file was altered. Store answers kIo with the text.
template <typename T>
T Require(StatusOr<T> value) {
  if (!value.ok()) throw std::runtime_error(std::string(value.status().message()));
  return *std::move(value);
}
template <typename T>
T Require(std::optional<T> value, const char* column) {
  if (!value.has_value()) throw std::runtime_error(std::string("malformed value in column ") + column);
  return *std::move(value);
}

std::string RecoveryText(const std::optional<RecoveryKey>& key) {
  if (!key) return "";
  return json{{"public_key", key->public_key},
              {"key_id", key->key_id},
              {"threshold", key->threshold},
              {"shares", key->shares},
              {"created_at", ToMicros(key->created_at)}}
      .dump();
}

std::optional<RecoveryKey> RecoveryFrom(const std::string& text) {
  if (text.empty()) return std::nullopt;
  const json in = json::parse(text);
  return RecoveryKey{in.at("public_key"), in.at("key_id"), in.at("threshold"), in.at("shares"),
                     FromMicros(in.at("created_at"))};
}

ServiceAccount ServiceAccountFrom(const Row& row) {
  return {row.Text("id"), row.Text("name"), row.Text("description"), row.Text("creator_name"),
          row.Time("created_at")};
}

ApiKey ApiKeyFrom(const Row& row) {
  return {row.Text("id"), row.Text("service_account_id"), row.Text("name"), row.Text("secret_sha256"),
          row.Time("created_at")};
}

RoleGrant RoleGrantFrom(const Row& row) {
  return {row.Text("account_id"), Require(RoleFromName(row.Text("role")), "role"), row.Text("cluster_id")};
}

Cluster ClusterFrom(const Row& row) {
  Cluster c;
  c.id = row.Text("id");
  c.name = row.Text("name");
  c.plan = Require(PlanFromName(row.Text("plan")), "plan");
  c.cloud = row.Text("cloud");
  c.lifecycle = Require(LifecycleFromName(row.Text("lifecycle")), "lifecycle");
  c.add_on = row.Flag("add_on");
  c.private_network = row.Flag("private_network");
  c.delete_protection = row.Flag("delete_protection");
  c.labels = json::parse(row.Text("labels")).get<std::map<std::string, std::string>>();
  c.hardware = HardwareFrom(json::parse(row.Text("hardware")));
  if (const int64_t grace = row.Number("unreachable_grace_ms"); grace >= 0) {
    c.unreachable_grace = absl::Milliseconds(grace);
  }
  c.recovery = RecoveryFrom(row.Text("recovery"));
  c.creator_id = row.Text("creator_id");
  c.revoked = row.Flag("revoked");
  c.revoked_at = row.Time("revoked_at");
  c.created_at = row.Time("created_at");
  c.updated_at = row.Time("updated_at");
  c.deleted_at = row.Time("deleted_at");
  return c;
}

Region RegionFrom(const Row& row) {
  Region r;
  r.cluster_id = row.Text("cluster_id");
  r.name = row.Text("name");
  r.ordinal = row.Number("ordinal");
  r.cmek_generation = static_cast<uint64_t>(row.Number("cmek_generation"));
  r.cmek_kind = Require(CmekKindFromName(row.Text("cmek_kind")), "cmek_kind");
  r.cmek_spec = Require(wire::KeySpecFromJson(json::parse(row.Text("cmek_spec"))));
  r.cmek_requested_at = row.Time("cmek_requested_at");
  return r;
}

Node NodeFrom(const Row& row) {
  Node n;
  n.id = row.Text("id");
  n.cluster_id = row.Text("cluster_id");
  n.region = row.Text("region");
  n.host = row.Text("host");
  n.generation = static_cast<uint64_t>(row.Number("generation"));
  const std::string status = row.Text("status");
  n.reported = !status.empty();
  if (n.reported) n.status = Require(wire::NodeStatusFromJson(json::parse(status)));
  n.status_at = row.Time("status_at");
  return n;
}

AuditEvent AuditEventFrom(const Row& row) {
  return {row.Text("id"),
          row.Time("created_at"),
          row.Text("action"),
          row.Text("source"),
          row.Text("cluster_id"),
          row.Text("cluster_name"),
          row.Text("service_account_name"),
          row.Text("ip_address"),
          row.Text("payload"),
          row.Text("error")};
}

}  // namespace

std::optional<Organization> OrganizationTable::Get() {
  return First(Collect<Organization>((sql_.prepare << "select * from organization"), [](const Row& row) {
    return Organization{row.Text("id"), row.Text("name"), row.Text("label"), row.Time("created_at")};
  }));
}

void OrganizationTable::Insert(const Organization& o) {
  const long long created_at = ToMicros(o.created_at);
  sql_ << "insert into organization(id, name, label, created_at) values (:i, :n, :l, :c)", use(o.id),
      use(o.name), use(o.label), use(created_at);
}

std::vector<ServiceAccount> OrganizationTable::ServiceAccounts() {
  return Collect<ServiceAccount>((sql_.prepare << "select * from service_accounts order by created_at, id"),
                                 ServiceAccountFrom);
}

std::optional<ServiceAccount> OrganizationTable::GetServiceAccount(const std::string& id) {
  return First(Collect<ServiceAccount>(
      (sql_.prepare << "select * from service_accounts where id = :i", use(id)), ServiceAccountFrom));
}

void OrganizationTable::InsertServiceAccount(const ServiceAccount& a) {
  const long long created_at = ToMicros(a.created_at);
  sql_ << "insert into service_accounts(id, name, description, creator_name, created_at)"
          " values (:i, :n, :d, :cn, :c)",
      use(a.id), use(a.name), use(a.description), use(a.creator_name), use(created_at);
}

void OrganizationTable::UpdateServiceAccount(const ServiceAccount& a) {
  sql_ << "update service_accounts set name = :n, description = :d where id = :i", use(a.name),
      use(a.description), use(a.id);
}

void OrganizationTable::DeleteServiceAccount(const std::string& id) {
  sql_ << "delete from service_accounts where id = :i", use(id);
}

std::string OrganizationTable::Setting(const std::string& name) {
  std::string value;
  sql_ << "select value from settings where name = :n", use(name), soci::into(value);
  return sql_.got_data() ? value : "";
}

void OrganizationTable::SetSetting(const std::string& name, const std::string& value) {
  sql_ << "delete from settings where name = :n", use(name);
  sql_ << "insert into settings(name, value) values (:n, :v)", use(name), use(value);
}

std::optional<ApiKey> ApiKeyTable::Get(const std::string& id) {
  return First(
      Collect<ApiKey>((sql_.prepare << "select * from api_keys where id = :i", use(id)), ApiKeyFrom));
}

std::vector<ApiKey> ApiKeyTable::List() {
  return Collect<ApiKey>((sql_.prepare << "select * from api_keys order by created_at, id"), ApiKeyFrom);
}

void ApiKeyTable::Insert(const ApiKey& k) {
  const long long created_at = ToMicros(k.created_at);
  sql_ << "insert into api_keys(id, service_account_id, name, secret_sha256, created_at)"
          " values (:i, :a, :n, :s, :c)",
      use(k.id), use(k.service_account_id), use(k.name), use(k.secret_sha256), use(created_at);
}

void ApiKeyTable::Rename(const std::string& id, const std::string& name) {
  sql_ << "update api_keys set name = :n where id = :i", use(name), use(id);
}

void ApiKeyTable::Delete(const std::string& id) { sql_ << "delete from api_keys where id = :i", use(id); }

std::vector<RoleGrant> RoleTable::List() {
  return Collect<RoleGrant>(
      (sql_.prepare << "select * from role_grants order by account_id, role, cluster_id"), RoleGrantFrom);
}

std::vector<RoleGrant> RoleTable::OfAccount(const std::string& account_id) {
  return Collect<RoleGrant>(
      (sql_.prepare << "select * from role_grants where account_id = :a order by role, cluster_id",
       use(account_id)),
      RoleGrantFrom);
}

void RoleTable::Put(const RoleGrant& g) {
  Delete(g);
  const std::string role(RoleName(g.role));
  sql_ << "insert into role_grants(account_id, role, cluster_id) values (:a, :r, :c)", use(g.account_id),
      use(role), use(g.cluster_id);
}

void RoleTable::Delete(const RoleGrant& g) {
  const std::string role(RoleName(g.role));
  sql_ << "delete from role_grants where account_id = :a and role = :r and cluster_id = :c",
      use(g.account_id), use(role), use(g.cluster_id);
}

void RoleTable::DeleteOfCluster(const std::string& cluster_id) {
  sql_ << "delete from role_grants where cluster_id = :c", use(cluster_id);
}

std::optional<ClusterView> ClusterTable::Get(const std::string& id) {
  auto cluster =
      First(Collect<Cluster>((sql_.prepare << "select * from clusters where id = :i", use(id)), ClusterFrom));
  if (!cluster.has_value()) return std::nullopt;
  ClusterView view;
  view.cluster = *std::move(cluster);
  view.regions = Collect<Region>(
      (sql_.prepare << "select * from regions where cluster_id = :i order by ordinal", use(id)), RegionFrom);
  view.nodes = NodeTable(sql_).OfCluster(id);
  return view;
}

std::optional<std::string> ClusterTable::IdOfName(const std::string& name) {
  std::string id;
  sql_ << "select id from clusters where name = :n and lifecycle <> 'DELETED'", use(name), soci::into(id);
  if (!sql_.got_data()) return std::nullopt;
  return id;
}

std::vector<std::string> ClusterTable::Ids(bool deleted_too) {
  const int every = deleted_too ? 1 : 0;
  return Collect<std::string>(
      (sql_.prepare
           << "select id from clusters where :a = 1 or lifecycle <> 'DELETED' order by created_at, id",
       use(every)),
      [](const Row& row) { return row.Text("id"); });
}

StatusOr<std::vector<ClusterKey>> ClusterTable::Keys(const ClusterStretch& stretch) {
  static constexpr std::array kCompared = {"name", "created_at",
                                           "case when deleted_at = 0 then created_at else deleted_at end"};
  const std::string compared = kCompared.at(static_cast<size_t>(stretch.order));
  const bool by_name = stretch.order == ClusterOrder::kName;
  const int from_start = stretch.after.empty() ? 1 : 0;
  const std::pair<std::string, std::string> after = absl::StrSplit(stretch.after, ' ');
  long long time = 0;
  if (from_start == 0 && (after.second.empty() || !(by_name || absl::SimpleAtoi(after.first, &time)))) {
    return Error(Cause::kInvalidArgument, "pagination.page is not a page of this list");
  }
  const std::string direction = stretch.descending ? " desc" : "";
  const std::string statement =
      absl::StrCat("select id, cast(", compared, " as text) as compared from clusters where (:s = 1 or (",
                   compared, ", id) ", stretch.descending ? "<" : ">", " (:k, :i))",
                   stretch.deleted_too ? "" : " and lifecycle <> 'DELETED'", " order by ", compared,
                   direction, ", id", direction, " limit ", stretch.limit);
  const auto key = [](const Row& row) {
    return ClusterKey{absl::StrCat(row.Text("compared"), " ", row.Text("id")), row.Text("id")};
  };
  if (by_name) {
    return Collect<ClusterKey>(
        (sql_.prepare << statement, use(from_start), use(after.first), use(after.second)), key);
  }
  return Collect<ClusterKey>((sql_.prepare << statement, use(from_start), use(time), use(after.second)), key);
}

void ClusterTable::Insert(const Cluster& c, const std::vector<Region>& regions) {
  sql_ << "insert into clusters(id, name, plan, cloud, lifecycle, add_on, private_network, delete_protection,"
          " labels, hardware, creator_id, revoked, revoked_at, created_at, updated_at, deleted_at)"
          " values (:i, '', '', '', '', 0, 0, 0, '', '', '', 0, 0, 0, 0, 0)",
      use(c.id);
  Update(c);
  for (const Region& r : regions) InsertRegion(r);
}

void ClusterTable::InsertRegion(const Region& r) {
  const long long ordinal = r.ordinal;
  sql_ << "insert into regions(cluster_id, name, ordinal, cmek_generation, cmek_kind, cmek_spec,"
          " cmek_requested_at) values (:c, :n, :o, 0, '', '', 0)",
      use(r.cluster_id), use(r.name), use(ordinal);
  UpdateRegion(r);
}

void ClusterTable::Update(const Cluster& c) {
  const std::string plan(PlanName(c.plan));
  const std::string lifecycle(LifecycleName(c.lifecycle));
  const std::string labels = json(c.labels).dump();
  const std::string hardware = HardwareJson(c.hardware).dump();
  const int add_on = c.add_on, private_network = c.private_network, protection = c.delete_protection;
  const int revoked = c.revoked;
  const std::string recovery = RecoveryText(c.recovery);
  const long long grace = c.unreachable_grace ? absl::ToInt64Milliseconds(*c.unreachable_grace) : -1;
  const long long revoked_at = ToMicros(c.revoked_at), created_at = ToMicros(c.created_at);
  const long long updated_at = ToMicros(c.updated_at), deleted_at = ToMicros(c.deleted_at);
  sql_ << "update clusters set name = :n, plan = :p, cloud = :c, lifecycle = :l, add_on = :a,"
          " private_network = :v, delete_protection = :d, labels = :la, hardware = :h,"
          " unreachable_grace_ms = :g, recovery = :rk, creator_id = :cr,"
          " revoked = :r, revoked_at = :ra, created_at = :ca, updated_at = :ua, deleted_at = :da where id = "
          ":i",
      use(c.name), use(plan), use(c.cloud), use(lifecycle), use(add_on), use(private_network),
      use(protection), use(labels), use(hardware), use(grace), use(recovery), use(c.creator_id), use(revoked),
      use(revoked_at), use(created_at), use(updated_at), use(deleted_at), use(c.id);
}

void ClusterTable::UpdateRegion(const Region& r) {
  const auto generation = static_cast<long long>(r.cmek_generation);
  const std::string kind(CmekKindName(r.cmek_kind));
  const std::string spec = wire::ToJson(r.cmek_spec).dump();
  const long long requested_at = ToMicros(r.cmek_requested_at);
  sql_ << "update regions set cmek_generation = :g, cmek_kind = :k, cmek_spec = :s, cmek_requested_at = :r"
          " where cluster_id = :c and name = :n",
      use(generation), use(kind), use(spec), use(requested_at), use(r.cluster_id), use(r.name);
}

std::optional<Node> NodeTable::Get(const std::string& id) {
  return First(Collect<Node>((sql_.prepare << "select * from nodes where id = :i", use(id)), NodeFrom));
}

std::vector<Node> NodeTable::OfCluster(const std::string& cluster_id) {
  return Collect<Node>(
      (sql_.prepare << "select * from nodes where cluster_id = :c order by region, id", use(cluster_id)),
      NodeFrom);
}

std::vector<Node> NodeTable::OfHost(const std::string& host) {
  sql_ << "update nodes set host = :h where host = ''", use(host);
  return Collect<Node>((sql_.prepare << "select * from nodes where host = :h order by id", use(host)),
                       NodeFrom);
}

void NodeTable::Insert(const Node& n) {
  const auto generation = static_cast<long long>(n.generation);
  sql_ << "insert into nodes(id, cluster_id, region, host, generation, status, status_at)"
          " values (:i, :c, :r, :h, :g, '', 0)",
      use(n.id), use(n.cluster_id), use(n.region), use(n.host), use(generation);
}

void NodeTable::SetStatus(const std::string& id, const wire::NodeStatus& status, absl::Time at) {
  const std::string text = wire::ToJson(status).dump();
  const long long micros = ToMicros(at);
  sql_ << "update nodes set status = :s, status_at = :a where id = :i", use(text), use(micros), use(id);
}

void NodeTable::Delete(const std::string& id) { sql_ << "delete from nodes where id = :i", use(id); }

void NodeTable::BumpGenerations(const std::string& cluster_id) {
  sql_ << "update nodes set generation = generation + 1 where cluster_id = :c", use(cluster_id);
}

std::vector<SqlUser> SqlUserTable::OfCluster(const std::string& cluster_id) {
  return Collect<SqlUser>(
      (sql_.prepare << "select * from sql_users where cluster_id = :c order by name", use(cluster_id)),
      [](const Row& row) {
        return SqlUser{row.Text("cluster_id"), row.Text("name"), row.Text("scram_verifier")};
      });
}

void SqlUserTable::Put(const SqlUser& u) {
  Delete(u.cluster_id, u.name);
  sql_ << "insert into sql_users(cluster_id, name, scram_verifier) values (:c, :n, :v)", use(u.cluster_id),
      use(u.name), use(u.scram_verifier);
}

void SqlUserTable::Delete(const std::string& cluster_id, const std::string& name) {
  sql_ << "delete from sql_users where cluster_id = :c and name = :n", use(cluster_id), use(name);
}

std::vector<AllowlistEntry> AllowlistTable::OfCluster(const std::string& cluster_id) {
  return Collect<AllowlistEntry>(
      (sql_.prepare << "select * from allowlist where cluster_id = :c order by cidr_ip, cidr_mask",
       use(cluster_id)),
      [](const Row& row) {
        return AllowlistEntry{row.Text("cluster_id"), row.Text("cidr_ip"), row.Number("cidr_mask"),
                              row.Text("name"),       row.Flag("sql"),     row.Flag("ui")};
      });
}

void AllowlistTable::Put(const AllowlistEntry& e) {
  Delete(e.cluster_id, e.cidr_ip, e.cidr_mask);
  const long long mask = e.cidr_mask;
  const int sql = e.sql, ui = e.ui;
  sql_ << "insert into allowlist(cluster_id, cidr_ip, cidr_mask, name, sql, ui)"
          " values (:c, :i, :m, :n, :s, :u)",
      use(e.cluster_id), use(e.cidr_ip), use(mask), use(e.name), use(sql), use(ui);
}

void AllowlistTable::Delete(const std::string& cluster_id, const std::string& cidr_ip, int64_t cidr_mask) {
  const long long mask = cidr_mask;
  sql_ << "delete from allowlist where cluster_id = :c and cidr_ip = :i and cidr_mask = :m", use(cluster_id),
      use(cidr_ip), use(mask);
}

void AuditTable::Append(AuditEvent e) {
  long long last = 0;
  soci::indicator none = soci::i_ok;
  sql_ << "select max(created_at) from audit_events", soci::into(last, none);
  const long long at = std::max<long long>(ToMicros(e.created_at), none == soci::i_null ? 0 : last + 1);
  sql_ << "insert into audit_events(created_at, id, action, source, cluster_id, cluster_name,"
          " service_account_name, ip_address, payload, error)"
          " values (:t, :i, :a, :s, :c, :n, :sa, :ip, :p, :e)",
      use(at), use(e.id), use(e.action), use(e.source), use(e.cluster_id), use(e.cluster_name),
      use(e.service_account_name), use(e.ip_address), use(e.payload), use(e.error);
}

std::vector<AuditEvent> AuditTable::List(const AuditPage& page) {
  const bool from_end = page.starting_from == absl::InfinitePast();
  const int limit = page.limit;
  if (page.descending) {
    const long long from = from_end ? INT64_MAX : ToMicros(page.starting_from);
    return Collect<AuditEvent>(
        (sql_.prepare << "select * from audit_events where created_at < :f order by created_at desc limit :l",
         use(from), use(limit)),
        AuditEventFrom);
  }
  const long long from = from_end ? 0 : ToMicros(page.starting_from);
  return Collect<AuditEvent>(
      (sql_.prepare << "select * from audit_events where created_at > :f order by created_at limit :l",
       use(from), use(limit)),
      AuditEventFrom);
}

}  // namespace keyhold::control
