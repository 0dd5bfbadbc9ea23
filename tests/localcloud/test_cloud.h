// A local cloud in a directory of its own, by a clock that the test moves, and a client that signs as AWS's
// do.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>

#include "localcloud/localcloud.h"

namespace keyhold::localcloud {

using Json = nlohmann::json;

class FakeClock : public Clock {
 public:
  explicit FakeClock(absl::Time now = absl::Now()) : now_(now) {}
  absl::Time Now() const override {
    std::lock_guard lock(mutex_);
    return now_;
  }
  void Advance(absl::Duration by) {
    std::lock_guard lock(mutex_);
    now_ += by;
  }

 private:
  mutable std::mutex mutex_;
  absl::Time now_;
};

// A directory below /tmp, removed with its content.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string ReadFile(const std::string& path);

struct AwsCredentials {
  std::string access_key_id, secret_access_key, session_token;
};

struct Answer {
  int status = 0;  // 0: no answer
  std::string text;
  std::string type;     // of an error
  std::string message;  // of an error
  Json body;            // of the JSON protocol
  bool ok() const { return status == 200; }
};

// Speaks to a local cloud through its proxy, with its CA, as any client would.
class AwsClient {
 public:
  AwsClient(uint16_t port, std::string ca_file, AwsCredentials credentials, const Clock& clock)
      : port_(port), ca_file_(std::move(ca_file)), credentials_(std::move(credentials)), clock_(&clock) {}

  Answer Kms(const std::string& operation, const Json& in, const std::string& region = "us-east-1") const;
  using Form = std::map<std::string, std::string>;
  Answer Sts(const std::string& action, Form form, const std::string& host = "sts.amazonaws.com") const;
  Answer Iam(const std::string& action, Form form) const;

  // One signed request; `headers` as given, then signed too.
  Answer Send(const std::string& host, const std::string& scope, const std::string& service,
              std::map<std::string, std::string> headers, const std::string& body) const;

 private:
  uint16_t port_;
  std::string ca_file_;
  AwsCredentials credentials_;
  const Clock* clock_;
};

// The text of the first <name> element.
std::string XmlValue(const std::string& xml, const std::string& name);

class TestCloud {
 public:
  TestCloud() { Start(); }

  void Start();
  void Stop() { cloud_.reset(); }
  void Restart() {
    Stop();
    Start();
  }

  LocalCloud& cloud() { return *cloud_; }
  FakeClock& clock() { return clock_; }
  const std::string& dir() const { return dir_.path(); }
  std::string File(const std::string& name) const { return dir_.path() + "/" + name; }

  AwsClient Customer() const;
  AwsClient Platform() const;
  AwsClient With(AwsCredentials credentials) const;
  std::string customer_account() const;
  std::string platform_arn() const;

  // A symmetric key of the customer; its ARN.
  std::string NewKey(const Json& in = Json::object(), const std::string& region = "us-east-1") const;
  // Replaces the key's policy by the default one and `statement`.
  Answer Grant(const std::string& key, const Json& statement) const;

 private:
  TempDir dir_;
  FakeClock clock_;
  std::unique_ptr<LocalCloud> cloud_;
};

}  // namespace keyhold::localcloud
