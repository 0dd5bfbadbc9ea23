#include "api/json_input.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/text.h"

namespace keyhold::api {
namespace {

using nlohmann::json;

// Field names come from outside too, and go into messages.
std::string Printable(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c >= 0x7f; }, '?');
  if (text.size() > 64) text = text.substr(0, 64) + "...";
  return text;
}

// What no reader shall see: too many levels, and a field that is there twice, of which one reader takes the
// first and another the last.
class Watcher {
 public:
  bool See(int depth, json::parse_event_t event, const json& parsed) {
    using Event = json::parse_event_t;
    if (depth > kMaxDepth) {
      Fail(absl::StrCat("the JSON is nested deeper than ", kMaxDepth, " levels"));
    } else if (event == Event::object_start) {
      fields_.emplace_back();
    } else if (event == Event::object_end && !fields_.empty()) {
      fields_.pop_back();
    } else if (event == Event::key && !fields_.empty()) {
      const auto name = parsed.get<std::string>();
      if (!fields_.back().insert(name).second)
        Fail(absl::StrCat("the field ", Printable(name), " is there twice"));
    }
    return status_.ok();
  }
  const Status& status() const { return status_; }

 private:
  void Fail(const std::string& message) {
    if (status_.ok()) status_ = Error(Cause::kInvalidArgument, message);
  }

  std::vector<std::set<std::string>> fields_;
  Status status_;
};

}  // namespace

StatusOr<json> ParseObject(std::string_view text) {
  if (text.size() > kMaxBodySize) {
    return Error(Cause::kInvalidArgument, absl::StrCat("the body is larger than ", kMaxBodySize, " bytes"));
  }
  Watcher watcher;
  try {
    json value = json::parse(text, [&](int depth, json::parse_event_t event, json& parsed) {
      return watcher.See(depth, event, parsed);
    });
    KEYHOLD_RETURN_IF_ERROR(watcher.status());
    if (!value.is_object()) return Error(Cause::kInvalidArgument, "the body must be a JSON object");
    return value;
  } catch (const json::parse_error& e) {
    return Error(Cause::kInvalidArgument, absl::StrCat("the body is not JSON: it breaks at byte ", e.byte));
  } catch (const json::exception&) {
    return Error(Cause::kInvalidArgument, "the body has a number that is out of range");
  }
}

ObjectReader::ObjectReader(const json& object, std::string path) : object_(object), path_(std::move(path)) {
  if (!object.is_object()) {
    Fail(Error(Cause::kInvalidArgument, absl::StrCat(path_, " must be an object, not ", object.type_name())));
  }
}

std::string ObjectReader::PathOf(const std::string& name) const {
  return path_.empty() ? name : absl::StrCat(path_, ".", name);
}

const json* ObjectReader::Value(const char* name) {
  known_.insert(name);
  if (!object_.is_object()) return nullptr;
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

void ObjectReader::Fail(const Status& status) {
  if (status_.ok()) status_ = status;
}

void ObjectReader::WrongType(const char* name, const char* expected) {
  Fail(Error(Cause::kInvalidArgument,
             absl::StrCat(PathOf(name), " must be ", expected, ", not ", object_[name].type_name())));
}

std::optional<std::string> ObjectReader::Text(const char* name) {
  const json* value = Value(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) {
    WrongType(name, "a string");
    return std::nullopt;
  }
  std::string text = value->get<std::string>();
  if (text.size() > kMaxTextSize) {
    Fail(Error(Cause::kInvalidArgument,
               absl::StrCat(PathOf(name), " is longer than ", kMaxTextSize, " bytes")));
  } else if (HasControls(text)) {
    Fail(Error(Cause::kInvalidArgument, absl::StrCat(PathOf(name), " has control characters")));
  } else {
    return text;
  }
  return std::nullopt;
}

std::optional<bool> ObjectReader::Flag(const char* name) {
  const json* value = Value(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_boolean()) return value->get<bool>();
  WrongType(name, "true or false");
  return std::nullopt;
}

std::optional<int64_t> ObjectReader::Number(const char* name, int64_t min, int64_t max) {
  const json* value = Value(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number_integer()) {
    WrongType(name, "an integer");
    return std::nullopt;
  }
  const bool fits = value->is_number_unsigned()
                        ? value->get<uint64_t>() <= static_cast<uint64_t>(max) && value->get<int64_t>() >= min
                        : value->get<int64_t>() >= min && value->get<int64_t>() <= max;
  if (fits) return value->get<int64_t>();
  Fail(Error(Cause::kInvalidArgument, absl::StrCat(PathOf(name), " must be ", min, " to ", max)));
  return std::nullopt;
}

Status ObjectReader::Finish() {
  KEYHOLD_RETURN_IF_ERROR(status_);
  for (const auto& item : object_.items()) {
    if (known_.contains(item.key())) continue;
    return Error(Cause::kInvalidArgument, absl::StrCat("unknown field ", PathOf(Printable(item.key()))));
  }
  return OkStatus();
}

std::map<std::string, std::string> TextMap(ObjectReader& reader, const char* name) {
  std::map<std::string, std::string> map;
  const json* value = reader.Value(name);
  if (value == nullptr) return map;
  ObjectReader inner(*value, reader.PathOf(name));
  if (value->is_object()) {
    for (const auto& item : value->items()) map[item.key()] = inner.Text(item.key().c_str()).value_or("");
  }
  reader.Fail(inner.Finish());
  return map;
}

std::vector<std::string> TextList(ObjectReader& reader, const char* name) {
  std::vector<std::string> list;
  const json* value = reader.Value(name);
  if (value == nullptr) return list;
  if (!value->is_array()) {
    reader.Fail(
        Error(Cause::kInvalidArgument, absl::StrCat(reader.PathOf(name), " must be a list of strings")));
    return list;
  }
  for (const json& element : *value) {
    const json holder = {{"element", element}};
    ObjectReader inner(holder, reader.PathOf(name));
    list.push_back(inner.Text("element").value_or(""));
    reader.Fail(inner.Finish());
  }
  return list;
}

}  // namespace keyhold::api
