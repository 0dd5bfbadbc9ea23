// The schema of the server's database, version 4, and the steps to it. docs/formats/server-database.md
// describes it.
//
// Portable SQL: text, integer (flags), bigint (numbers, and times as microseconds since 1970 UTC; 0: not
// yet).
#pragma once

#include <array>

namespace keyhold::control {

inline constexpr std::array kSchemaV1 = {
    "create table settings (name text primary key, value text not null)",
    "create table organization (id text primary key, name text not null, label text not null,"
    " created_at bigint not null)",
    "create table service_accounts (id text primary key, name text not null, description text not null,"
    " created_at bigint not null)",
    "create table api_keys (id text primary key, service_account_id text not null references"
    " service_accounts(id), name text not null, secret_sha256 text not null, created_at bigint not null)",
    "create table clusters (id text primary key, name text not null, plan text not null, cloud text not null,"
    " lifecycle text not null, add_on integer not null, private_network integer not null,"
    " delete_protection integer not null, labels text not null, hardware text not null,"
    " creator_id text not null, revoked integer not null, revoked_at bigint not null,"
    " created_at bigint not null, updated_at bigint not null, deleted_at bigint not null)",
    "create unique index clusters_by_name on clusters(name) where lifecycle <> 'DELETED'",
    "create table regions (cluster_id text not null references clusters(id), name text not null,"
    " ordinal bigint not null, cmek_generation bigint not null, cmek_kind text not null,"
    " cmek_spec text not null, cmek_requested_at bigint not null, primary key (cluster_id, name))",
    "create table nodes (id text primary key, cluster_id text not null references clusters(id),"
    " region text not null, host text not null, generation bigint not null, status text not null,"
    " status_at bigint not null)",
    "create index nodes_by_cluster on nodes(cluster_id)",
    "create index nodes_by_host on nodes(host)",
    "create table sql_users (cluster_id text not null references clusters(id), name text not null,"
    " scram_verifier text not null, primary key (cluster_id, name))",
    "create table allowlist (cluster_id text not null references clusters(id), cidr_ip text not null,"
    " cidr_mask bigint not null, name text not null, sql integer not null, ui integer not null,"
    " primary key (cluster_id, cidr_ip, cidr_mask))",
    "create table audit_events (created_at bigint primary key, id text not null, action text not null,"
    " source text not null, cluster_id text not null, cluster_name text not null,"
    " service_account_name text not null, ip_address text not null, payload text not null,"
    " error text not null)",
};

// Roles. Whoever had an API key before there were any could do everything, and still can.
inline constexpr std::array kSchemaV2 = {
    "create table role_grants (account_id text not null references service_accounts(id), role text not null,"
    " cluster_id text not null, primary key (account_id, role, cluster_id))",
    "alter table service_accounts add column creator_name text not null default ''",
    "insert into role_grants(account_id, role, cluster_id) select id, 'ORG_ADMIN', '' from service_accounts",
    "insert into role_grants(account_id, role, cluster_id) select id, 'CLUSTER_ADMIN', '' from "
    "service_accounts",
};

// How long a cluster's nodes serve on without their KMS, in milliseconds; -1: as the server's options say.
inline constexpr std::array kSchemaV3 = {
    "alter table clusters add column unreachable_grace_ms bigint not null default -1",
};

// A cluster's recovery key, as JSON; empty: none.
inline constexpr std::array kSchemaV4 = {
    "alter table clusters add column recovery text not null default ''",
};

}  // namespace keyhold::control
