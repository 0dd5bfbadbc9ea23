#include "node/control_socket.h"

#include <fcntl.h>
#include <httplib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "absl/strings/numbers.h"

namespace keyhold::node {
namespace {

using nlohmann::json;

constexpr absl::Duration kLongestWait = absl::Seconds(25);
constexpr size_t kLargestBody = 4 << 20;

int HttpStatusOf(Cause cause) {
  switch (cause) {
    case Cause::kInvalidArgument:
      return 400;
    case Cause::kNotFound:
      return 404;
    case Cause::kConflict:
      return 409;
    default:
      return 500;
  }
}

// Of a region that the cluster is to get; empty for the node's own.
std::string RegionOf(const json& task) {
  const auto region = task.find("region");
  return region != task.end() && region->is_string() ? region->get<std::string>() : "";
}

void Answer(httplib::Response& response, const json& body) {
  response.set_content(body.dump(-1, ' ', false, json::error_handler_t::replace), "application/json");
}

void AnswerError(httplib::Response& response, const Status& status) {
  response.status = HttpStatusOf(CauseOf(status));
  Answer(response, {{"cause", CauseName(CauseOf(status))}, {"message", std::string(status.message())}});
}

class Server final : public ControlSocket {
 public:
  Server(std::string path, ControlHandlers handlers)
      : path_(std::move(path)), handlers_(std::move(handlers)) {}

  ~Server() override {
    server_.stop();
    if (thread_.joinable()) thread_.join();
    unlink(path_.c_str());
    if (directory_ >= 0) close(directory_);
  }

  Status Start() {
    AddRoutes();
    unlink(path_.c_str());
    // A socket's address has 107 bytes at most; by its directory's descriptor any path fits.
    const size_t slash = path_.rfind('/');
    directory_ = open(path_.substr(0, slash).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory_ < 0) return ErrnoError(errno, "opening the directory of " + path_);
    const std::string address = "/proc/self/fd/" + std::to_string(directory_) + path_.substr(slash);
    server_.set_payload_max_length(kLargestBody);
    server_.set_address_family(AF_UNIX);
    const mode_t before = umask(0177);
    const bool bound = server_.bind_to_port(address, 80);
    umask(before);
    if (!bound) return ErrnoError(errno, "listening at " + path_);
    thread_ = std::thread([this] {
      server_.listen_after_bind();
      ended_ = true;
    });
    // A server that is told to stop before it runs does not stop.
    while (!server_.is_running() && !ended_) std::this_thread::yield();
    return OkStatus();
  }

 private:
  void AddRoutes() {
    server_.set_exception_handler(
        [](const httplib::Request& request, httplib::Response& response, const std::exception_ptr&) {
          AnswerError(response, Error(Cause::kInternal, "the node failed at " + request.path));
        });
    server_.Get("/status", [this](const httplib::Request& request, httplib::Response& response) {
      uint64_t after = 0;
      const bool waits = request.has_param("after");
      if (waits && !absl::SimpleAtoi(request.get_param_value("after"), &after))
        return AnswerError(response, Error(Cause::kInvalidArgument, "after must be a status's version"));
      Answer(response, wire::ToJson(handlers_.status(after, waits ? kLongestWait : absl::ZeroDuration())));
    });
    server_.Put("/desired", [this](const httplib::Request& request, httplib::Response& response) {
      const auto desired = wire::DesiredNodeFromJson(json::parse(request.body, nullptr, false));
      const Status status = desired.ok() ? handlers_.desired(*desired) : desired.status();
      if (status.ok()) return Answer(response, json::object());
      AnswerError(response, status);
    });
    server_.Post("/check", [this](const httplib::Request& request, httplib::Response& response) {
      const json task = json::parse(request.body, nullptr, false);
      const auto spec = wire::KeySpecFromJson(task);
      const auto report = spec.ok() ? handlers_.check(*spec, RegionOf(task)) : spec.status();
      if (report.ok()) return Answer(response, wire::ToJson(*report));
      AnswerError(response, report.status());
    });
    server_.Post("/stop", [this](const httplib::Request&, httplib::Response& response) {
      Answer(response, json::object());
      handlers_.stop();
    });
  }

  const std::string path_;
  int directory_ = -1;
  const ControlHandlers handlers_;
  httplib::Server server_;
  std::atomic<bool> ended_ = false;
  std::thread thread_;
};

}  // namespace

StatusOr<std::unique_ptr<ControlSocket>> ControlSocket::Start(const std::string& path,
                                                              ControlHandlers handlers) {
  auto server = std::make_unique<Server>(path, std::move(handlers));
  KEYHOLD_RETURN_IF_ERROR(server->Start());
  return std::unique_ptr<ControlSocket>(std::move(server));
}

}  // namespace keyhold::node
