#include "tests/api/api_fixture.h"

#include <httplib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/ascii.h"
#include "crypto/rsa.h"
#include "crypto/secret.h"

namespace keyhold::api {

using nlohmann::json;

HttpAnswer Call(int port, const std::string& bearer, const std::string& method, const std::string& path,
                const std::string& body, const std::string& user_agent,
                const std::map<std::string, std::string>& headers) {
  httplib::Client client("127.0.0.1", port);
  client.set_read_timeout(60);
  client.set_url_encode(false);
  httplib::Request request;
  request.method = method;
  request.path = path;
  request.body = body;
  request.set_header("User-Agent", user_agent);
  request.set_header("Content-Type", "application/json");
  if (!bearer.empty()) request.set_header("Authorization", "Bearer " + bearer);
  for (const auto& [name, value] : headers) request.set_header(name.c_str(), value);
  const auto result = client.send(request);
  if (!result) return {};
  HttpAnswer answer{result->status, json::parse(result->body, nullptr, false), result->body};
  for (const auto& [name, value] : result->headers) answer.headers[absl::AsciiStrToLower(name)] = value;
  return answer;
}

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  std::string text;
  std::getline(file, text);
  return text;
}

TemporaryDirectory::TemporaryDirectory() {
  char name[] = "/tmp/keyhold-test-XXXXXX";
  path_ = mkdtemp(name);
}
TemporaryDirectory::~TemporaryDirectory() { std::filesystem::remove_all(path_); }

FakeAgent::FakeAgent(int port, std::string token, std::string host)
    : port_(port), token_(std::move(token)), host_(std::move(host)) {
  thread_ = std::thread([this] { Run(); });
}

FakeAgent::~FakeAgent() {
  stop_ = true;
  thread_.join();
}

void FakeAgent::Run() {
  std::string version;
  while (!stop_) {
    const auto work = Call(port_, token_, "GET", "/agent/v1/work?host=" + host_ + "&version=" + version);
    if (work.status != 200) continue;
    for (const json& check : work.body["checks"]) Check(check);
    if (hold_) continue;
    for (const json& node : work.body["nodes"]) Take(node);
    version = work.body["version"];
  }
}

void FakeAgent::Take(const json& node) {
  const auto desired = *wire::DesiredNodeFromJson(node["desired"]);
  if (node["remove"]) {
    Call(port_, token_, "POST", "/agent/v1/nodes/" + desired.node_id + "/removed", "{}");
    return;
  }
  wire::NodeStatus status;
  {
    const std::lock_guard lock(mutex_);
    desired_[desired.node_id] = desired;
    CarryOut(desired, status_[desired.node_id]);
    status = status_[desired.node_id];
  }
  Put(status);
}

namespace {

void CarryOutRecovery(const wire::DesiredNode& desired, wire::NodeStatus& status) {
  const auto key = crypto::RsaPublicKey::FromPem(desired.recovery_public_key);
  if (!key.ok() && !status.recovery) return;
  wire::Recovery recovery = status.recovery.value_or(wire::Recovery{});
  recovery.key_id = key.ok() ? key->Fingerprint() : "";
  status.recovery = recovery;
}

}  // namespace

void FakeAgent::CarryOut(const wire::DesiredNode& desired, wire::NodeStatus& status) {
  ++status.version;
  status.node_id = desired.node_id;
  status.observed_generation = desired.generation;
  // What a key's loss has locked stays so, whatever else is desired.
  const bool lost = status.lock && status.lock->cause.starts_with("KMS_");
  if (!lost) {
    status.state = wire::NodeState::kServing;
    status.lock.reset();
    CarryOutRecovery(desired, status);
  }
  status.sql_address = desired.region == "eu-west-1" ? "127.0.0.1:26258" : "127.0.0.1:26257";
  status.ca_pem = "PEM of " + desired.cluster_name + "\n";
  if (desired.cmek && desired.cmek->generation > status.cmek_generation) {
    status.cmek_generation = desired.cmek->generation;
    status.cmek_status = "ENABLED";
    for (auto& key : status.keys) key.status = "DISABLED";
    status.keys.insert(status.keys.begin(), {desired.cmek->key_spec, "ENABLED", "", "", "", false, {}});
  }
  if (desired.revoked) {
    status.state = wire::NodeState::kLocked;
    status.lock = wire::Trouble{"REVOKED", "revoked", "2026-01-01T00:00:00Z"};
  }
}

void FakeAgent::Check(const json& task) {
  ++checks_;
  if (deaf_) return;
  const auto spec = *wire::KeySpecFromJson(task["key_spec"]);
  {
    const std::lock_guard lock(mutex_);
    checked_region_ = task["region"];
  }
  wire::CheckReport report;
  report.usable = spec.auth_principal.find("denied") == std::string::npos;
  report.steps.push_back({"kms:DescribeKey", "PASS", "", "", 10});
  if (!report.usable) {
    report.steps.push_back(
        {"kms:Decrypt", "FAIL", "KMS_DENIED", R"(add {"Effect": "Allow"} to the policy)", 10});
  }
  Call(port_, token_, "POST", "/agent/v1/checks/" + task["id"].get<std::string>(),
       json{{"report", wire::ToJson(report)}}.dump());
}

void FakeAgent::Put(const wire::NodeStatus& status) {
  Call(port_, token_, "PUT", "/agent/v1/nodes/" + status.node_id + "/status", wire::ToJson(status).dump());
}

void FakeAgent::Report(const std::string& cluster_id, const std::function<void(wire::NodeStatus&)>& edit,
                       const std::string& region) {
  wire::NodeStatus status;
  {
    const std::lock_guard lock(mutex_);
    wire::NodeStatus& now = status_[NodeOf(cluster_id, region)];
    edit(now);
    ++now.version;
    status = now;
  }
  Put(status);
}

wire::DesiredNode FakeAgent::Desired(const std::string& cluster_id, const std::string& region) {
  const std::lock_guard lock(mutex_);
  return desired_[NodeOf(cluster_id, region)];
}

std::string FakeAgent::NodeOf(const std::string& cluster_id, const std::string& region) const {
  for (const auto& [id, desired] : desired_) {
    if (desired.cluster_id == cluster_id && (region.empty() || desired.region == region)) return id;
  }
  return "";
}

void ApiTest::StartServer() {
  ASSERT_TRUE(crypto::InitSecretMemory().ok());
  options_.dir = dir_.path();
  options_.aws_principal_arn = "arn:aws:iam::999900001111:user/keyhold";
  auto server = Server::Start(options_, SystemClock(), crypto::SystemRandom());
  ASSERT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);
  key_ = ReadText(dir_.path() + "/server/api-key");
}

// The server first: it ends the agent's long poll.
void ApiTest::StopAll() {
  if (server_ != nullptr) server_->Stop();
  agent_.reset();
  server_.reset();
}

void ApiTest::StartAgent() {
  agent_ = std::make_unique<FakeAgent>(port(), ReadText(dir_.path() + "/server/agent-token"));
}

std::string ApiTest::Create(const std::string& name, const std::string& plan, bool add_on,
                            const std::string& cloud, const std::string& region) {
  json spec = {{"plan", plan}};
  if (plan == "ADVANCED") {
    spec["dedicated"] = {{"region_nodes", {{region, 1}}}};
  } else {
    spec["serverless"]["regions"] = json::array({region});
  }
  if (add_on) spec["advanced_security_add_on"] = true;
  const auto made = Send("POST", "/api/v1/clusters", {{"name", name}, {"provider", cloud}, {"spec", spec}});
  EXPECT_EQ(made.status, 200) << made.text;
  if (made.status != 200) return "";
  const std::string id = made.body["id"];
  if (agent_ != nullptr) AwaitCluster(id, "state", "CREATED");
  return id;
}

json ApiTest::AwaitCluster(const std::string& id, const std::string& field, const std::string& value) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  json cluster;
  while (std::chrono::steady_clock::now() < deadline) {
    cluster = Get("/api/v1/clusters/" + id).body;
    if (cluster.is_object() && cluster.value(field, "") == value) return cluster;
    std::this_thread::yield();
  }
  ADD_FAILURE() << field << " did not become " << value << ": " << cluster.dump();
  return cluster;
}

json RegionSpecs(const std::string& uri, const std::string& type) {
  json spec;
  spec["region"] = "us-east-1";
  spec["key_spec"] = {{"type", type}, {"uri", uri}};
  json body;
  body["region_specs"] = json::array({spec});
  return body;
}

}  // namespace keyhold::api
