// Requests of an administrator, and of the agent, to a server with one cluster: each gets an answer that is
// no bug's. The first line is METHOD TARGET, the rest the body; "{cluster}" in it stands for the cluster's
// id, "{node}" for its node's.
#include <cstdint>
#include <cstdlib>
#include <fstream>

#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "api/http_status.h"
#include "api/router.h"
#include "control/organization.h"
#include "tests/base/fake_clock.h"
#include "tests/base/fixed_random.h"
#include "tests/support/fuzz_dir.h"

namespace {

using namespace keyhold;       // NOLINT
using namespace keyhold::api;  // NOLINT
using keyhold::testing::Must;

std::string Line(const std::string& path) {
  std::string line;
  std::getline(std::ifstream(path) >> std::ws, line);
  return line;
}

class World {
 public:
  World() {
    changes_.Close();  // nobody waits
    std::filesystem::create_directory(dir_.File("server"));
    const auto store = Must(control::Store::Open(dir_.File("first.db")));
    Services services(Core(*store), {});
    Must(control::Bootstrap(services.core, dir_.File("server")));
    caller_ = Must(services.api_keys.Authenticate(Line(dir_.File("server/api-key"))));
    caller_.source = "AUDIT_LOG_SOURCE_CC_API";
    const control::ClusterSpec spec{.name = "demo", .cloud = "AWS", .regions = {"us-east-1"}, .add_on = true};
    cluster_ = Must(services.clusters.Create(caller_, spec)).cluster.id;
    node_ = Must(control::ReadCluster(services.core, cluster_)).nodes.at(0).id;
  }

  // The answer of a server that has only the one cluster.
  Status Serve(const Route& route, Request request) {
    dir_.Copy("first.db", "server.db");
    const auto store = Must(control::Store::Open(dir_.File("server.db")));
    Services services(Core(*store), {});
    if (route.access == Access::kApiKey) request.caller = caller_;
    KEYHOLD_RETURN_IF_ERROR(Authorize(route, request));
    if (route.handler == nullptr) return OkStatus();
    return route.handler(services, request).status();
  }

  std::string Named(std::string_view text) const {
    return absl::StrReplaceAll(std::string(text), {{"{cluster}", cluster_}, {"{node}", node_}});
  }

 private:
  control::Core Core(control::Store& store) {
    return {store, changes_, clock_, random_, absl::ZeroDuration(), absl::ZeroDuration()};
  }

  const keyhold::testing::FuzzDir dir_;
  keyhold::testing::FakeClock clock_;
  keyhold::testing::FixedRandom random_;
  control::Changes changes_;
  control::Caller caller_;
  std::string cluster_, node_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const bool ready = crypto::InitSecretMemory().ok();
  if (!ready) return 0;
  static World world;
  const std::string text = world.Named({reinterpret_cast<const char*>(data), size});
  const size_t end = std::min(text.find('\n'), text.size());
  const size_t space = std::min(text.find(' '), end);
  const std::string target = text.substr(std::min(space + 1, end), end - std::min(space + 1, end));
  Match match = FindRoute(text.substr(0, space), target);
  if (match.route == nullptr) return 0;
  Request request{
      text.substr(0, space), std::move(match.path), {}, text.substr(std::min(end + 1, text.size())), {}};
  const size_t query = target.find('?');
  if (query != std::string::npos) {
    for (const auto& pair : absl::StrSplit(target.substr(query + 1), '&')) {
      const std::pair<std::string, std::string> named = absl::StrSplit(pair, absl::MaxSplits('=', 1));
      request.query.emplace(Decode(named.first), Decode(named.second));
    }
  }
  const Status status = world.Serve(*match.route, std::move(request));
  if (!status.ok() && HttpStatusOf(CauseOf(status)).http == 500) std::abort();
  return 0;
}
