// A Cloud API for ccloud's tests: real HTTP on a loopback port, answers that a test writes down, and the
// requests that came.
#pragma once

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace keyhold::cli {

inline constexpr char kTestKey[] = "CCDB1_test";
inline constexpr char kClusterId[] = "11111111-2222-3333-4444-555555555555";

struct Seen {
  std::string method;
  std::string target;  // path with query
  nlohmann::json body;
};

class FakeApi {
 public:
  FakeApi();
  ~FakeApi();

  std::string url() const;

  // What "METHOD /path" answers; of several for the same, each once, and the last for ever.
  void On(const std::string& call, nlohmann::json body, int status = 200);
  void OnText(const std::string& call, const std::string& body, int status = 200);
  // Clusters by list and by id.
  void AddCluster(const nlohmann::json& cluster);

  // The requests that were not GET.
  std::vector<Seen> Changes() const;
  std::vector<Seen> All() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// A cluster as docs/api.md has it.
nlohmann::json TestCluster(const std::string& name = "demo", const std::string& cmek_status = "DISABLED");

}  // namespace keyhold::cli
