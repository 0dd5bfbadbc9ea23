#include "localcloud/fault_control.h"

#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/unix_http_server.h"
#include "localcloud/json.h"

namespace keyhold::localcloud {
namespace {

constexpr char kSocket[] = "/control.sock";
constexpr size_t kLargestOrder = 64 << 10;

int HttpStatusOf(Cause cause) {
  return cause == Cause::kInvalidArgument ? 400 : cause == Cause::kNotFound ? 404 : 500;
}

void Answer(httplib::Response& response, const Json& body) {
  response.set_content(body.dump(-1, ' ', false, Json::error_handler_t::replace), "application/json");
}

void Answer(httplib::Response& response, const Status& status) {
  if (status.ok()) return Answer(response, Json::object());
  response.status = HttpStatusOf(CauseOf(status));
  Answer(response, {{"cause", CauseName(CauseOf(status))}, {"message", std::string(status.message())}});
}

class Server final : public FaultControl {
 public:
  Server(const std::string& dir, FaultGate& gate) : gate_(gate), server_(dir + kSocket) {}

  Status Start() {
    AddRoutes();
    return server_.Start(kLargestOrder);
  }

 private:
  void AddRoutes() {
    server_.routes().Get("/faults", [this](const httplib::Request&, httplib::Response& response) {
      Json faults = Json::array();
      for (const Fault& fault : gate_.List()) faults.push_back(ToJson(fault));
      Answer(response, faults);
    });
    server_.routes().Post("/faults", [this](const httplib::Request& request, httplib::Response& response) {
      const auto body = ParseJson(request.body);
      const auto order = body.ok() ? OrderFromJson(*body) : body.status();
      const auto id = order.ok() ? gate_.Add(*order) : order.status();
      if (!id.ok()) return Answer(response, id.status());
      Answer(response, Json{{"id", *id}});
    });
    server_.routes().Delete("/faults", [this](const httplib::Request&, httplib::Response& response) {
      gate_.ClearAll();
      Answer(response, OkStatus());
    });
    server_.routes().Delete(R"(/faults/(\d{1,19}))",
                            [this](const httplib::Request& request, httplib::Response& response) {
                              uint64_t id = 0;
                              const bool number = absl::SimpleAtoi(request.matches[1].str(), &id);
                              Answer(response, gate_.Clear(number ? id : 0));
                            });
  }

  FaultGate& gate_;
  UnixHttpServer server_;
};

Status NotReached(const std::string& dir) {
  if (access((dir + kSocket).c_str(), W_OK) != 0 && errno == EACCES) {
    return Error(Cause::kPermissionDenied, "the local cloud of " + dir + " is another user's");
  }
  return Error(Cause::kUnavailable, absl::StrCat("no local cloud runs in ", dir,
                                                 "; keyhold start (or keyhold localcloud) runs one"));
}

StatusOr<Json> Ask(const std::string& dir, const char* method, const std::string& path,
                   const std::string& body) {
  const auto address = SocketAddress::Of(dir + kSocket);
  if (!address.ok()) return NotReached(dir);
  httplib::Client client(address->text());
  client.set_address_family(AF_UNIX);
  httplib::Request request;
  request.method = method;
  request.path = path;
  request.body = body;
  if (!body.empty()) request.set_header("Content-Type", "application/json");
  const auto answer = client.send(request);
  if (!answer) return NotReached(dir);
  KEYHOLD_ASSIGN_OR_RETURN(Json json, ParseJson(answer->body));
  if (answer->status == 200) return json;
  if (!json.is_object())
    return Error(Cause::kInternal, "the local cloud answered what is no answer of its own");
  return Error(CauseFromName(json.value("cause", "")), json.value("message", "the local cloud failed"));
}

}  // namespace

StatusOr<std::unique_ptr<FaultControl>> FaultControl::Start(const std::string& dir, FaultGate& gate) {
  auto server = std::make_unique<Server>(dir, gate);
  KEYHOLD_RETURN_IF_ERROR(server->Start());
  return std::unique_ptr<FaultControl>(std::move(server));
}

StatusOr<uint64_t> AddFault(const std::string& dir, const FaultOrder& order) {
  KEYHOLD_RETURN_IF_ERROR(CheckOrder(order));
  KEYHOLD_ASSIGN_OR_RETURN(const Json answer, Ask(dir, "POST", "/faults", ToJson(order).dump()));
  return answer.value("id", uint64_t{0});
}

StatusOr<std::vector<Fault>> ListFaults(const std::string& dir) {
  KEYHOLD_ASSIGN_OR_RETURN(const Json answer, Ask(dir, "GET", "/faults", ""));
  std::vector<Fault> faults;
  for (const Json& json : answer) {
    KEYHOLD_ASSIGN_OR_RETURN(const Fault fault, FaultFromJson(json));
    faults.push_back(fault);
  }
  return faults;
}

Status ClearFaults(const std::string& dir, std::optional<uint64_t> id) {
  return Ask(dir, "DELETE", id ? absl::StrCat("/faults/", *id) : "/faults", "").status();
}

}  // namespace keyhold::localcloud
