// One request on its way through a service of Azure's, and what the access log will say of it.
//
// Everything it points to lives as long as the request. Used by one thread.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "localcloud/access_log.h"
#include "localcloud/azure/error.h"
#include "localcloud/azure/store.h"
#include "localcloud/azure/token.h"
#include "localcloud/http.h"
#include "localcloud/json.h"

namespace keyhold::localcloud::azure {

struct Call {
  const HttpRequest& http;
  std::vector<std::string> path;  // segments, decoded: {"keys", "NAME", "VERSION", "wrapkey"}
  absl::Time now;
  AzureStore& store;
  AccessEntry& record;
  Caller caller = {};
  Json body = Json::object();

  // A parameter of the query; "" where there is none.
  std::string Query(std::string_view name) const;
  // "POST keys/*/create": method and path with `names` segments left in and others as '*'.
  bool Is(std::string_view method, std::initializer_list<std::string_view> segments) const;
};

struct Result {
  int status = 200;
  Json body;
};

// Puts `path` and `body` of a call from its request. BadParameter: the body is no JSON object.
Status ReadRequest(Call& call);

// Reads a member of `object`: absent (or null) gives `absent`; another type is BadParameter.
StatusOr<std::string> StringIn(const Json& object, const char* name, std::string_view absent = "");
StatusOr<int64_t> IntIn(const Json& object, const char* name, int64_t absent);
StatusOr<bool> BoolIn(const Json& object, const char* name, bool absent);

// One page of `items` from the offset in the query's $skiptoken, with nextLink: at most maxresults, or 25.
StatusOr<Result> Page(const Call& call, const std::vector<Json>& items);

}  // namespace keyhold::localcloud::azure
