// A server on a fresh directory, spoken to over HTTP, and an agent's double that answers for its nodes.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "api/server.h"
#include "wire/node.h"

namespace keyhold::api {

struct HttpAnswer {
  int status = 0;  // 0: no answer
  nlohmann::json body;
  std::string text;
  std::map<std::string, std::string> headers = {};  // names in lower case
};

// One request on a connection of its own. An empty `bearer` sends no Authorization.
HttpAnswer Call(int port, const std::string& bearer, const std::string& method, const std::string& path,
                const std::string& body = "", const std::string& user_agent = "test",
                const std::map<std::string, std::string>& headers = {});

std::string ReadText(const std::string& path);  // the first line

// Below /tmp, removed at the end.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// What a host's agent and its nodes would do, at once and without data: serve, enable, rotate, revoke. A key
// spec whose principal has "denied" in it fails its check.
class FakeAgent {
 public:
  FakeAgent(int port, std::string token, std::string host = "local");
  ~FakeAgent();

  // The cluster's node (in `region`, where it has several) reports from now on what `edit` makes of its
  // status.
  void Report(const std::string& cluster_id, const std::function<void(wire::NodeStatus&)>& edit,
              const std::string& region = "");

  // While held, desired state is not carried out; checks are answered.
  void Hold(bool hold) { hold_ = hold; }

  // While deaf, checks are not answered.
  void Deaf(bool deaf) { deaf_ = deaf; }

  int checks() const { return checks_; }
  wire::DesiredNode Desired(const std::string& cluster_id, const std::string& region = "");
  // Of the last check.
  std::string checked_region() {
    const std::lock_guard lock(mutex_);
    return checked_region_;
  }

 private:
  void Run();
  void Take(const nlohmann::json& node);
  void CarryOut(const wire::DesiredNode& desired, wire::NodeStatus& status);
  void Check(const nlohmann::json& task);
  void Put(const wire::NodeStatus& status);
  std::string NodeOf(const std::string& cluster_id, const std::string& region) const;

  const int port_;
  const std::string token_;
  const std::string host_;
  std::atomic<bool> stop_ = false;
  std::atomic<bool> hold_ = false;
  std::atomic<bool> deaf_ = false;
  std::atomic<int> checks_ = 0;
  std::mutex mutex_;
  std::map<std::string, wire::DesiredNode> desired_;  // by node id; guarded by mutex_, as are the next two
  std::map<std::string, wire::NodeStatus> status_;
  std::string checked_region_;
  std::thread thread_;
};

class ApiTest : public testing::Test {
 protected:
  void SetUp() override { StartServer(); }
  void TearDown() override { StopAll(); }

  void StartServer();
  void StopAll();
  void StartAgent();

  HttpAnswer Get(const std::string& path) { return Call(port(), key_, "GET", path); }
  HttpAnswer Send(const std::string& method, const std::string& path, const nlohmann::json& body) {
    return Call(port(), key_, method, path, body.is_null() ? "" : body.dump());
  }

  // The new cluster's id. With an agent, CREATED when it returns.
  std::string Create(const std::string& name, const std::string& plan = "ADVANCED", bool add_on = true,
                     const std::string& cloud = "AWS", const std::string& region = "us-east-1");
  // The cluster's JSON once `field` is `value`.
  nlohmann::json AwaitCluster(const std::string& id, const std::string& field, const std::string& value);

  int port() const { return server_->port(); }

  TemporaryDirectory dir_;
  ServerOptions options_{.requests_per_second = 0, .failed_logins_allowed = 0};
  std::unique_ptr<Server> server_;
  std::unique_ptr<FakeAgent> agent_;
  std::string key_;
};

// {"region_specs": [...]} for us-east-1.
nlohmann::json RegionSpecs(const std::string& uri, const std::string& type = "AWS_KMS");

inline constexpr char kKey1[] = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
inline constexpr char kKey2[] = "arn:aws:kms:us-east-1:111122223333:key/2234abcd-12ab-34cd-56ef-1234567890ab";

// Of nobody's key.
inline constexpr char kRecoveryPem[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA0TSiVygQVlyyN9q8FA+p\n"
    "4jHW8OKITI3azIk7K4bbJ/m/hHcgRxCl9JYdIAWmK3AWcQ2Ry7Gmpf79lzVSr/Bx\n"
    "3vf8jsNa4MZfI7gASHag5ZJaXmc170vtTUVvV94Hl98Hu8iqhUZ6P/0kbbcULgYi\n"
    "ozSIkEYqUEstaeYkfHJ72zOxR9+ye9qWcGDOVJG1dcAWgyP/R6AbNRq8dYWD9w+F\n"
    "8C9MTpp9n1azb9NZi6fLYiKVV8raVrWlP//jvNNR1jTqJBTbgkBVk+8Uj1CQF5rU\n"
    "eNBu+cpN6PC7L4LYQ1vA0eFzxJtXwLtjt3VPSCfeuUV9S9RWBnIOWEnvlym2Kzf+\n"
    "twIDAQAB\n"
    "-----END PUBLIC KEY-----\n";

}  // namespace keyhold::api
