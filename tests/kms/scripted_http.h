// A transport that answers what a test says, by method, host and path, and remembers what it was asked.
// Nobody else is there: what is not in the script is unreachable.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "kms/http.h"

namespace keyhold::testing {

class ScriptedHttp final : public kms::HttpTransport {
 public:
  struct Asked {
    std::string what;  // "GET host/path"
    std::string body;
    std::map<std::string, std::string> headers;  // with the secret ones
    bool is_signed = false;
    std::string access_key_id;
    bool metadata = false;
  };

  void On(const std::string& what, int status, const std::string& body) { answers_[what] = {status, body}; }
  void Silence(const std::string& what) { answers_.erase(what); }
  const std::vector<Asked>& asked() const { return asked_; }

  StatusOr<kms::HttpResponse> Send(const kms::HttpRequest& request) override {
    Asked asked{request.method + " " + request.host + request.path, std::string(request.body.ExposeText()),
                request.headers};
    for (const auto& [name, value] : request.secret_headers)
      asked.headers[name] = std::string(value->ExposeText());
    asked.is_signed = request.aws.has_value();
    if (asked.is_signed) asked.access_key_id = request.aws->credentials->access_key_id;
    asked.metadata = request.metadata;
    asked_.push_back(asked);
    const auto found = answers_.find(asked.what);
    if (found == answers_.end()) return Error(Cause::kKmsUnreachable, "cannot reach " + request.host);
    return kms::HttpResponse{
        found->second.first, {}, crypto::SecretBytes::CopyOf(crypto::AsBytes(found->second.second))};
  }

 private:
  std::map<std::string, std::pair<int, std::string>> answers_;
  std::vector<Asked> asked_;
};

}  // namespace keyhold::testing
