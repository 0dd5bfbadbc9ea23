#include "node/control_socket.h"

#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "base/unix_http_server.h"

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
  Server(const std::string& path, ControlHandlers handlers) : handlers_(std::move(handlers)), server_(path) {}

  Status Start() {
    AddRoutes();
    return server_.Start(kLargestBody);
  }

 private:
  void AddRoutes() {
    server_.routes().set_exception_handler(
        [](const httplib::Request& request, httplib::Response& response, const std::exception_ptr&) {
          AnswerError(response, Error(Cause::kInternal, "the node failed at " + request.path));
        });
    server_.routes().Get("/status", [this](const httplib::Request& request, httplib::Response& response) {
      uint64_t after = 0;
      const bool waits = request.has_param("after");
      if (waits && !absl::SimpleAtoi(request.get_param_value("after"), &after))
        return AnswerError(response, Error(Cause::kInvalidArgument, "after must be a status's version"));
      Answer(response, wire::ToJson(handlers_.status(after, waits ? kLongestWait : absl::ZeroDuration())));
    });
    server_.routes().Put("/desired", [this](const httplib::Request& request, httplib::Response& response) {
      const auto desired = wire::DesiredNodeFromJson(json::parse(request.body, nullptr, false));
      const Status status = desired.ok() ? handlers_.desired(*desired) : desired.status();
      if (status.ok()) return Answer(response, json::object());
      AnswerError(response, status);
    });
    server_.routes().Post("/check", [this](const httplib::Request& request, httplib::Response& response) {
      const json task = json::parse(request.body, nullptr, false);
      const auto spec = wire::KeySpecFromJson(task);
      const auto report = spec.ok() ? handlers_.check(*spec, RegionOf(task)) : spec.status();
      if (report.ok()) return Answer(response, wire::ToJson(*report));
      AnswerError(response, report.status());
    });
    server_.routes().Post("/stop", [this](const httplib::Request&, httplib::Response& response) {
      Answer(response, json::object());
      handlers_.stop();
    });
  }

  const ControlHandlers handlers_;
  UnixHttpServer server_;
};

}  // namespace

StatusOr<std::unique_ptr<ControlSocket>> ControlSocket::Start(const std::string& path,
                                                              ControlHandlers handlers) {
  auto server = std::make_unique<Server>(path, std::move(handlers));
  KEYHOLD_RETURN_IF_ERROR(server->Start());
  return std::unique_ptr<ControlSocket>(std::move(server));
}

}  // namespace keyhold::node
