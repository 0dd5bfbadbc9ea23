#include "tests/cli/fake_api.h"

#include <httplib.h>

#include <deque>
#include <mutex>
#include <thread>

namespace keyhold::cli {

using nlohmann::json;

struct Answer {
  int status;
  std::string body;
};

class FakeApi::Impl {
 public:
  Impl() {
    const httplib::Server::Handler handle = [this](const auto& request, auto& response) {
      Handle(request, response);
    };
    server_.Post(".*", handle);
    server_.Put(".*", handle);
    server_.Patch(".*", handle);
    server_.Get(".*", handle);
    server_.Delete(".*", handle);
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~Impl() {
    server_.stop();
    thread_.join();
  }

  void Handle(const httplib::Request& request, httplib::Response& response) {
    const std::lock_guard lock(mutex_);
    seen_.push_back({request.method, request.target, json::parse(request.body, nullptr, false)});
    const bool open = request.path.find("/api/v1/") != 0;
    if (!open && request.get_header_value("Authorization") != std::string("Bearer ") + kTestKey) {
      response.status = 401;
      response.set_content(R"({"code":16,"message":"the API key is not known"})", "application/json");
      return;
    }
    const auto found = answers_.find(request.method + " " + request.path);
    response.status = 404;
    if (found == answers_.end())
      return response.set_content(R"({"code":5,"message":"no such path"})", "application/json");
    response.status = found->second.front().status;
    response.set_content(found->second.front().body, "application/json");
    if (found->second.size() > 1) found->second.pop_front();
  }

  httplib::Server server_;
  std::thread thread_;
  int port_ = 0;
  mutable std::mutex mutex_;
  std::map<std::string, std::deque<Answer>> answers_;
  std::vector<Seen> seen_;
  json clusters_ = json::array();
};

FakeApi::FakeApi() : impl_(std::make_unique<Impl>()) {
  On("GET /api/v1/clusters", {{"clusters", json::array()}});
}
FakeApi::~FakeApi() = default;

std::string FakeApi::url() const { return "http://127.0.0.1:" + std::to_string(impl_->port_); }

void FakeApi::On(const std::string& call, json body, int status) { OnText(call, body.dump(), status); }

void FakeApi::OnText(const std::string& call, const std::string& body, int status) {
  const std::lock_guard lock(impl_->mutex_);
  impl_->answers_[call].push_back({status, body});
}

void FakeApi::AddCluster(const json& cluster) {
  impl_->clusters_.push_back(cluster);
  {
    const std::lock_guard lock(impl_->mutex_);
    impl_->answers_.erase("GET /api/v1/clusters");
  }
  On("GET /api/v1/clusters", {{"clusters", impl_->clusters_}, {"pagination", {{"next_page", ""}}}});
  On("GET /api/v1/clusters/" + cluster["id"].get<std::string>(), cluster);
}

std::vector<Seen> FakeApi::All() const {
  const std::lock_guard lock(impl_->mutex_);
  return impl_->seen_;
}

std::vector<Seen> FakeApi::Changes() const {
  std::vector<Seen> changes;
  for (const Seen& seen : All()) {
    if (seen.method != "GET") changes.push_back(seen);
  }
  return changes;
}

json TestCluster(const std::string& name, const std::string& cmek_status) {
  return {{"id", kClusterId},
          {"name", name},
          {"plan", "ADVANCED"},
          {"cloud_provider", "AWS"},
          {"state", "CREATED"},
          {"cockroach_version", "v15"},
          {"created_at", "2026-11-24T09:00:00.5Z"},
          {"regions", {{{"name", "us-east-1"}, {"node_count", 1}, {"primary", true}}}},
          {"config", {{"dedicated", {{"num_virtual_cpus", 4}, {"storage_gib", 15}}}}},
          {"advanced_security_add_on", true},
          {"cmek_config", {{"status", cmek_status}, {"region_infos", json::array()}}}};
}

}  // namespace keyhold::cli
