// Keyset pagination, as the Cloud API has it: a page goes on behind the last key of the one before, so that
// what is added or deleted meanwhile moves nothing.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "api/request.h"

namespace keyhold::api {

inline constexpr int kDefaultLimit = 100;
inline constexpr int kMaxLimit = 500;

// An element of a list and its place: keys are unique and compared as bytes.
struct Keyed {
  std::string key;
  nlohmann::json value;
};

// Part of a list: at most `limit` elements behind the key `after` (empty: from the start), in the order of
// their keys or, `descending`, against it.
struct Stretch {
  std::string after;
  bool descending = false;
  int limit = kDefaultLimit;
};
using ReadStretch = std::function<StatusOr<std::vector<Keyed>>(const Stretch&)>;

// One page of what `read` gives, as {`name`: [...], "pagination": {...}}, by the request's pagination.limit,
// .page and .sort_order. kInvalidArgument names the parameter.
StatusOr<Reply> Paged(const Request& request, const char* name, const ReadStretch& read);

// The same of a list that is there as a whole, in any order.
StatusOr<Reply> Paged(const Request& request, const char* name, std::vector<Keyed> items);

// `name`'s number in the query, `fallback` when it is not there. kInvalidArgument unless 1 to kMaxLimit.
StatusOr<int> LimitOf(const Request& request, const char* name, int fallback = kDefaultLimit);

// True for DESC. kInvalidArgument for what is neither that nor ASC nor missing (then `fallback`).
StatusOr<bool> DescendingOf(const Request& request, const char* name, bool fallback);

}  // namespace keyhold::api
