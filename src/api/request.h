// What a handler is given and what it gives back: HTTP without a library's types.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "base/status.h"
#include "control/model.h"

namespace keyhold::api {

struct Request {
  std::string method;
  std::map<std::string, std::string> path;   // the pattern's {names}, decoded
  std::map<std::string, std::string> query;  // decoded; the first of each name
  std::string body;
  control::Caller caller;  // empty on routes without an API key

  // Empty when it is not there.
  std::string Query(const std::string& name) const {
    const auto found = query.find(name);
    return found == query.end() ? "" : found->second;
  }
};

struct Reply {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::map<std::string, std::string> headers = {};

  static Reply Json(const nlohmann::json& json) {
    return {200, "application/json", json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), {}};
  }
};

}  // namespace keyhold::api
