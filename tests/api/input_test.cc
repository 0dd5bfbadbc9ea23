// Strict input, routing and pages, without a socket.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/http_status.h"
#include "api/json_input.h"
#include "api/page.h"
#include "api/router.h"

namespace keyhold::api {
namespace {

using nlohmann::json;
using testing::HasSubstr;

std::string MessageOf(const Status& status) { return std::string(status.message()); }

TEST(ParseObject, TakesObjectsAndNothingElse) {
  EXPECT_TRUE(ParseObject("{}").ok());
  EXPECT_TRUE(ParseObject(R"({"a": [1, {"b": null}]})").ok());
  for (const char* bad :
       {"", " ", "[]", "1", "null", "{", "{}}", "{\"a\": }", "{'a': 1}", "{\"a\": 1,}", "{a: 1}",
        "\xef\xbb\xbf", "{\"a\": 01}", "{\"a\": \"\x01\"}", "{\"a\": NaN}", "{\"a\": 1e400}"}) {
    EXPECT_EQ(CauseOf(ParseObject(bad).status()), Cause::kInvalidArgument) << bad;
  }
}

TEST(ParseObject, EveryTruncationIsRefused) {
  const std::string whole = R"({"region_specs": [{"region": "us-east-1", "key_spec": {"type": "AWS_KMS"}}]})";
  ASSERT_TRUE(ParseObject(whole).ok());
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(ParseObject(whole.substr(0, size)).ok()) << size;
  }
}

TEST(ParseObject, DepthAndSizeHaveLimits) {
  const auto nested = [](int depth) {
    return R"({"a": )" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}";
  };
  EXPECT_TRUE(ParseObject(nested(kMaxDepth)).ok());
  EXPECT_FALSE(ParseObject(nested(kMaxDepth + 2)).ok());
  EXPECT_FALSE(ParseObject("{\"a\": \"" + std::string(kMaxBodySize, 'a') + "\"}").ok());
}

TEST(ObjectReader, NamesTheFirstWrongField) {
  const json object =
      json::parse(R"({"t": 1, "f": "x", "n": 1.5, "big": 99, "c": "a\u0007b", "known": null})");
  const auto error = [&](const auto& read) {
    ObjectReader reader(object, "spec");
    read(reader);
    return MessageOf(reader.Finish());
  };
  EXPECT_EQ(error([](ObjectReader& r) { r.Text("t"); }), "spec.t must be a string, not number");
  EXPECT_EQ(error([](ObjectReader& r) { r.Flag("f"); }), "spec.f must be true or false, not string");
  EXPECT_EQ(error([](ObjectReader& r) { r.Number("n", 0, 9); }), "spec.n must be an integer, not number");
  EXPECT_EQ(error([](ObjectReader& r) { r.Number("big", 0, 9); }), "spec.big must be 0 to 9");
  EXPECT_EQ(error([](ObjectReader& r) { r.Text("c"); }), "spec.c has control characters");
  EXPECT_EQ(error([](ObjectReader& r) { r.Text("known"); }), "unknown field spec.big");
}

TEST(ObjectReader, TextsHaveNothingThatATerminalOrAReaderObeys) {
  for (const char* text :
       {"\\u0000", "a\\r\\nb", "\\u001b[2J", "\\u007f", "\\u009b2J", "\\u202egpj.exe", "\\u2066x"}) {
    const json object = json::parse(R"({"name": ")" + std::string(text) + "\"}");
    ObjectReader reader(object, "");
    EXPECT_FALSE(reader.Text("name").has_value());
    EXPECT_EQ(MessageOf(reader.Finish()), "name has control characters");
  }
}

TEST(ObjectReader, NumbersAtTheEdges) {
  const json object = json::parse(R"({"max": 18446744073709551615, "min": -9223372036854775808})");
  ObjectReader reader(object, "");
  EXPECT_FALSE(reader.Number("max", 0, INT64_MAX).has_value());
  EXPECT_EQ(reader.Number("min", INT64_MIN, 0), INT64_MIN);
  EXPECT_FALSE(reader.Finish().ok());
}

TEST(ObjectReader, ListsAndMapsOfTexts) {
  const json object =
      json::parse(R"({"list": ["a", "b"], "map": {"k": "v"}, "bad": [1], "worse": {"k": []}})");
  ObjectReader reader(object, "");
  EXPECT_THAT(TextList(reader, "list"), testing::ElementsAre("a", "b"));
  EXPECT_THAT(TextMap(reader, "map"), testing::ElementsAre(testing::Pair("k", "v")));
  EXPECT_TRUE(TextList(reader, "nothing").empty());
  TextList(reader, "bad");
  EXPECT_THAT(MessageOf(reader.Finish()), HasSubstr("bad.element must be a string"));
  ObjectReader other(object, "");
  TextMap(other, "worse");
  EXPECT_THAT(MessageOf(other.Finish()), HasSubstr("worse.k must be a string, not array"));
}

TEST(ObjectReader, FieldNamesFromOutsideArePrintable) {
  const json object = {{std::string("\x1b[2J") + std::string(500, 'x'), 1}};
  ObjectReader reader(object, "");
  const std::string message = MessageOf(reader.Finish());
  EXPECT_EQ(message.find('\x1b'), std::string::npos);
  EXPECT_LT(message.size(), 100U);
}

TEST(Router, FindsWhatThePathNames) {
  const Match match = FindRoute("DELETE", "/api/v1/clusters/abc/networking/allowlist/10.0.0.0/8?x=1");
  ASSERT_NE(match.route, nullptr);
  EXPECT_EQ(match.path.at("cluster_id"), "abc");
  EXPECT_EQ(match.path.at("cidr_ip"), "10.0.0.0");
  EXPECT_EQ(match.path.at("cidr_mask"), "8");
}

TEST(Router, AWordWinsOverAName) {
  const Match match = FindRoute("GET", "/api/v1/clusters/available-regions");
  ASSERT_NE(match.route, nullptr);
  EXPECT_TRUE(match.path.empty());
}

TEST(Router, ASlashInAValueStaysInIt) {
  EXPECT_EQ(FindRoute("DELETE", "/api/v1/clusters/c/sql-users/a%2Fb").path.at("name"), "a/b");
  EXPECT_EQ(FindRoute("DELETE", "/api/v1/clusters/c/sql-users/a/b").route, nullptr);
  EXPECT_EQ(FindRoute("GET", "/api/v1/clusters/").route, nullptr);
  EXPECT_EQ(FindRoute("GET", "").route, nullptr);
}

TEST(Router, OtherMethodsAreToldFromOtherPaths) {
  EXPECT_TRUE(FindRoute("PUT", "/api/v1/clusters").other_method);
  EXPECT_FALSE(FindRoute("GET", "/api/v2/clusters").other_method);
}

TEST(Router, EveryOperationOfTheApiIsThereOnce) {
  std::map<std::pair<std::string, std::string>, int> seen;
  for (const Route& route : Routes()) {
    EXPECT_EQ(++seen[std::make_pair(std::string(route.method), std::string(route.pattern))], 1)
        << route.pattern;
    EXPECT_EQ(route.access == Access::kAgent, route.pattern.starts_with("/agent/")) << route.pattern;
    if (route.pattern.starts_with("/api/")) {
      EXPECT_EQ(route.access, Access::kApiKey) << route.pattern;
    }
  }
}

TEST(Router, DecodesWhatIsEncoded) {
  EXPECT_EQ(Decode("a%20b%2f%2F"), "a b//");
  EXPECT_EQ(Decode("%"), "%");
  EXPECT_EQ(Decode("%4"), "%4");
  EXPECT_EQ(Decode("%zz%41"), "%zzA");
  EXPECT_EQ(Decode("a+b"), "a+b");
}

TEST(HttpStatus, EveryCauseHasOne) {
  for (int i = 0; i <= static_cast<int>(Cause::kKmsCorrupt); ++i) {
    const HttpStatus status = HttpStatusOf(static_cast<Cause>(i));
    EXPECT_GE(status.http, 400) << i;
    EXPECT_LT(status.http, 600) << i;
    EXPECT_GE(status.grpc, 1) << i;
    EXPECT_LE(status.grpc, 16) << i;
  }
  EXPECT_EQ(HttpStatusOf(Cause::kKmsDenied).http, 400)
      << "Terraform waits for grants to spread only after a 400";
}

TEST(HttpStatus, ABugsInsidesAreNotTold) {
  const json body = ErrorBody(Error(Cause::kInternal, "at 0x1234"));
  EXPECT_EQ(body.dump().find("0x1234"), std::string::npos);
  EXPECT_EQ(ErrorBody(Error(Cause::kConflict, "m"))["details"][0]["reason"], "CONFLICT");
}

// Every page of `count` items, forwards.
std::vector<std::string> Walk(int count, int limit, const char* order) {
  std::vector<std::string> seen;
  Request request;
  request.query = {{"pagination.limit", std::to_string(limit)}, {"pagination.sort_order", order}};
  for (int page = 0; page <= count; ++page) {
    std::vector<Keyed> items;
    for (int i = 0; i < count; ++i) items.push_back({std::string(1, static_cast<char>('a' + i)), i});
    const json body = json::parse(Paged(request, "items", items)->body);
    EXPECT_LE(body["items"].size(), static_cast<size_t>(limit));
    for (const json& item : body["items"]) seen.push_back(std::to_string(item.get<int>()));
    const std::string next = body["pagination"]["next_page"];
    if (next.empty()) return seen;
    request.query["pagination.page"] = next;
  }
  ADD_FAILURE() << "the pages do not end";
  return seen;
}

TEST(Pages, TogetherAreTheList) {
  for (int count = 0; count < 8; ++count) {
    for (int limit = 1; limit < 9; ++limit) {
      EXPECT_EQ(Walk(count, limit, "ASC").size(), static_cast<size_t>(count)) << count << "/" << limit;
      const auto down = Walk(count, limit, "DESC");
      ASSERT_EQ(down.size(), static_cast<size_t>(count));
      if (count > 0) {
        EXPECT_EQ(down.front(), std::to_string(count - 1));
      }
    }
  }
}

TEST(Pages, GoOnWhereTheLastItemWasThoughItIsGone) {
  Request request;
  request.query["pagination.limit"] = "1";
  const json first = json::parse(Paged(request, "items", {{"a", 0}, {"b", 1}, {"c", 2}})->body);
  request.query["pagination.page"] = first["pagination"]["next_page"];
  EXPECT_EQ(json::parse(Paged(request, "items", {{"b", 1}, {"c", 2}})->body)["items"], json::parse("[1]"));
}

}  // namespace
}  // namespace keyhold::api
