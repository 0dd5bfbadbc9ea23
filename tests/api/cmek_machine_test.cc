// The table of docs/state-machine.md, "Of a cluster's CMEK": every cell of it, over HTTP.
#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "tests/api/api_fixture.h"
#include "tests/support/source_dir.h"

namespace keyhold::api {
namespace {

using nlohmann::json;

using Row = std::vector<std::string>;

// The rows of the page's table whose first column is "status", its heads first.
std::vector<Row> Table() {
  std::ifstream page(testing::SourceDir() + "/docs/state-machine.md");
  std::vector<Row> rows;
  for (std::string line; std::getline(page, line);) {
    const bool is_row = !line.empty() && line.front() == '|';
    if (rows.empty() ? line.rfind("| status |", 0) != 0 : !is_row) {
      if (rows.empty()) continue;
      break;
    }
    Row row;
    const std::vector<std::string> cells = absl::StrSplit(line, '|');
    for (size_t i = 1; i + 1 < cells.size(); ++i) {
      row.emplace_back(absl::StripAsciiWhitespace(cells[i]));
    }
    if (row[0] != "---") rows.push_back(std::move(row));
  }
  return rows;
}

class CmekMachineTest : public ApiTest {
 protected:
  void SetUp() override {
    options_.observe_timeout = absl::ZeroDuration();  // nodes that carry nothing out take up nothing either
    ApiTest::SetUp();
    StartAgent();
  }

  static std::string Path(const std::string& id) { return "/api/v1/clusters/" + id + "/cmek"; }

  HttpAnswer Ask(const std::string& id, const std::string& method, const std::string& key = kKey1) {
    return Send(method, Path(id), RegionSpecs(key));
  }
  HttpAnswer Revoke(const std::string& id) { return Send("PATCH", Path(id), {{"action", "REVOKE"}}); }
  std::string StatusOf(const std::string& id) { return Get(Path(id)).body["status"]; }

  void Await(const std::string& id, const std::string& status) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (StatusOf(id) != status && std::chrono::steady_clock::now() < deadline) {
    }
    EXPECT_EQ(StatusOf(id), status);
  }

  // The node's word that the operation under way failed.
  void Fail(const std::string& id) {
    const bool first = StatusOf(id) == "ENABLING";
    const std::string status = first ? "ENABLE_FAILED" : "ROTATE_FAILED";
    agent_->Report(id, [&](wire::NodeStatus& node) {
      node.cmek_generation = first ? 1 : 2;
      node.cmek_status = status;
      node.keys.insert(node.keys.begin(), {{"AWS_KMS", kKey2, ""}, status, "why", "", "", false, {}});
    });
  }

  // A new cluster whose CMEK has the row's status; nodes carry nothing out from then on.
  std::string ClusterThatIs(const std::string& status) {
    agent_->Hold(false);
    const std::string id = Create("c" + std::to_string(++clusters_));
    const bool enabling = status == "ENABLING" || status == "ENABLE_FAILED";
    if (status != "DISABLED" && !enabling) {
      EXPECT_EQ(Ask(id, "POST").status, 200);
      Await(id, "ENABLED");
    }
    if (status == "REVOKED") {
      EXPECT_EQ(Revoke(id).status, 200);
      Await(id, "REVOKED");
    }
    agent_->Hold(true);
    if (enabling) {
      EXPECT_EQ(Ask(id, "POST").status, 200);
    }
    if (status == "ROTATING" || status == "ROTATE_FAILED") {
      EXPECT_EQ(Ask(id, "PUT", kKey2).status, 200);
    }
    if (status == "REVOKING") {
      EXPECT_EQ(Revoke(id).status, 200);
    }
    if (status == "ENABLE_FAILED" || status == "ROTATE_FAILED") Fail(id);
    if (status == "ENABLED, key lost") {
      agent_->Report(id, [](wire::NodeStatus& node) {
        node.state = wire::NodeState::kLocked;
        node.lock = wire::Trouble{"KMS_DISABLED", "key K is disabled", ""};
      });
    }
    const std::string said = status.substr(0, status.find(','));
    Await(id, said);
    return id;
  }

  HttpAnswer Request(const std::string& id, const std::string& event) {
    if (event == "PATCH REVOKE") return Revoke(id);
    if (event == "PUT /cmek/policy") return Send("PUT", Path(id) + "/policy", {{"unreachable", "lock"}});
    if (event == "PUT /cmek/recovery") {
      return Send("PUT", Path(id) + "/recovery",
                  {{"public_key", kRecoveryPem}, {"threshold", 2}, {"shares", 3}});
    }
    return Ask(id, event.substr(0, event.find(' ')), kKey2);
  }

  // What no request brings about; the cell is the status after it.
  void Bring(const std::string& id, const std::string& event) {
    if (event == "done") return agent_->Hold(false);
    if (event == "fails") return Fail(id);
    ASSERT_EQ(event, "server restarts");
    StopAll();
    StartServer();
  }

  void Drive(const std::string& status, const std::string& event, const std::string& cell) {
    SCOPED_TRACE(status + ", " + event + ": " + cell);
    const std::string id = ClusterThatIs(status);
    const std::string before = StatusOf(id);
    int code = 0;
    if (!absl::SimpleAtoi(cell.substr(0, 3), &code)) {
      Bring(id, event);
      Await(id, cell);
      if (event == "server restarts") StartAgent();
      return;
    }
    const HttpAnswer answer = Request(id, event);
    EXPECT_EQ(answer.status, code) << answer.text;
    EXPECT_EQ(StatusOf(id), cell.size() > 3 ? cell.substr(4) : before);
    if (code != 200) {
      EXPECT_GT(answer.body["message"].get<std::string>().size(), 20U);
    }
  }

 private:
  int clusters_ = 0;
};

TEST_F(CmekMachineTest, EveryCellIsAsThePageSays) {
  const std::vector<Row> table = Table();
  ASSERT_EQ(table.size(), 10U);
  int driven = 0;
  for (size_t row = 1; row < table.size(); ++row) {
    ASSERT_EQ(table[row].size(), table[0].size());
    for (size_t column = 1; column < table[row].size(); ++column) {
      if (table[row][column] == "-") continue;
      Drive(table[row][0], table[0][column], table[row][column]);
      ++driven;
    }
  }
  EXPECT_EQ(driven, 59);
}

// Whatever the status: what the check of the key refuses changes nothing.
TEST_F(CmekMachineTest, ARefusedKeyChangesNothing) {
  json specs = RegionSpecs(kKey2);
  specs["region_specs"][0]["key_spec"]["auth_principal"] = "arn:aws:iam::111122223333:role/denied";
  const std::vector<Row> table = Table();
  for (size_t row = 1; row < table.size(); ++row) {
    SCOPED_TRACE(table[row][0]);
    const std::string id = ClusterThatIs(table[row][0]);
    const std::string before = StatusOf(id);
    for (const char* method : {"POST", "PUT"}) {
      EXPECT_GE(Send(method, Path(id), specs).status, 400);
      EXPECT_EQ(StatusOf(id), before);
    }
  }
}

}  // namespace
}  // namespace keyhold::api
