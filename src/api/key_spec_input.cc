#include "api/key_spec_input.h"

#include "absl/strings/str_cat.h"

namespace keyhold::api {
namespace {

using control::CmekRegionSpec;
using nlohmann::json;

constexpr size_t kMaxRegionSpecs = 64;

wire::KeySpec ReadKeySpec(ObjectReader& parent) {
  wire::KeySpec spec;
  const json* value = parent.Value("key_spec");
  if (value == nullptr) {
    parent.Fail(Error(Cause::kInvalidArgument, absl::StrCat(parent.PathOf("key_spec"), " is missing")));
    return spec;
  }
  ObjectReader reader(*value, parent.PathOf("key_spec"));
  spec.type = reader.Text("type").value_or("");
  spec.uri = reader.Text("uri").value_or("");
  spec.auth_principal = reader.Text("auth_principal").value_or("");
  parent.Fail(reader.Finish());
  return spec;
}

}  // namespace

std::vector<CmekRegionSpec> ReadRegionSpecs(ObjectReader& parent, const char* name) {
  std::vector<CmekRegionSpec> specs;
  const json* list = parent.Value(name);
  if (list == nullptr) return specs;
  if (!list->is_array() || list->empty() || list->size() > kMaxRegionSpecs) {
    parent.Fail(Error(Cause::kInvalidArgument,
                      absl::StrCat(parent.PathOf(name), R"( must be a list: [{"region": "us-east-1", )"
                                                        R"("key_spec": {"type", "uri"}}])")));
    return specs;
  }
  for (const json& element : *list) {
    ObjectReader reader(element, absl::StrCat(parent.PathOf(name), "[", specs.size(), "]"));
    CmekRegionSpec spec;
    spec.region = reader.Text("region").value_or("");
    spec.key_spec = ReadKeySpec(reader);
    parent.Fail(reader.Finish());
    specs.push_back(std::move(spec));
  }
  return specs;
}

}  // namespace keyhold::api
