#include "gateway/conversation.h"

#include <gtest/gtest.h>

#include "gateway/statement_edits.h"

namespace keyhold::gateway {
namespace {

constexpr size_t kMaxRewrite = 4096;

std::string Text(const std::string& text) { return text + '\0'; }
std::string Query(const std::string& sql) { return Message('Q', Text(sql)); }
std::string Parse(const std::string& sql) {
  return Message('P', Text("name") + Text(sql) + std::string(2, '\0'));
}
std::string ErrorAt(int position) {
  return Message('E', Text("SERROR") + Text("P" + std::to_string(position)) + '\0');
}
const std::string kSync = Message('S', "");
const std::string kReady = Message('Z', "I");
const std::string kAuthOk = Message('R', U32(0));

class ConversationTest : public ::testing::Test {
 protected:
  // Feeds `bytes` in pieces of `step`; returns all that goes on, or "broken".
  static std::string Feed(MessageStream& stream, const std::string& bytes, size_t step) {
    std::string out;
    for (size_t at = 0; at < bytes.size(); at += step) {
      const std::string piece = bytes.substr(at, step);
      Outgoing outgoing;
      if (!stream.Feed(piece, outgoing).ok()) return "broken";
      out += outgoing.CopyFrom(0);
    }
    return out;
  }
  std::string Client(const std::string& bytes, size_t step = 1 << 20) {
    return Feed(conversation_.from_client(), bytes, step);
  }
  std::string Server(const std::string& bytes, size_t step = 1 << 20) {
    return Feed(conversation_.from_server(), bytes, step);
  }
  void LogIn() { Server(kAuthOk + kReady); }

  ClusterSettings settings_ = {{"a.b", [] { return std::string("v"); }}};
  uint32_t swapped_pid_ = 0;
  Conversation conversation_{{.settings = &settings_,
                              .max_rewrite_bytes = kMaxRewrite,
                              .swap_key = [this](uint32_t pid, uint32_t secret) {
                                swapped_pid_ = pid;
                                return secret + 1;
                              }}};
};

TEST_F(ConversationTest, NothingButAnswersPassesBeforeAuthentication) {
  EXPECT_EQ(Client(Message('p', "proof")), Message('p', "proof"));
  EXPECT_EQ(Client(Query("SELECT 1")), "broken");
}

TEST_F(ConversationTest, AnAnswerThatIsTooLongIsRefused) {
  EXPECT_EQ(Client('p' + U32(kMaxAuthLength + 1)), "broken");
}

TEST_F(ConversationTest, BytesPassInAnyPieces) {
  LogIn();
  const std::string sent =
      Query("SELECT 1") + Message('d', std::string(1000, 'x')) + Parse("SELECT 2") + kSync;
  for (const size_t step : {1, 2, 3, 5, 7, 64, 4096}) EXPECT_EQ(Client(sent, step), sent) << step;
  const std::string got =
      Message('T', "xx") + Message('D', std::string(999, 'y')) + Message('C', "z") + kReady;
  for (const size_t step : {1, 2, 3, 5, 7, 64, 4096}) EXPECT_EQ(Server(got, step), got) << step;
}

TEST_F(ConversationTest, StatementsAreRewrittenInAnyPieces) {
  LogIn();
  for (const size_t step : {1, 4, 5, 6, 1000}) {
    EXPECT_EQ(Client(Query("SELECT 1::STRING") + Parse("SELECT x::BYTES"), step),
              Query("SELECT 1::text") + Parse("SELECT x::bytea"));
  }
  EXPECT_EQ(conversation_.rewritten(), 10u);
}

TEST_F(ConversationTest, AStatementBeyondTheLimitPassesAsItIs) {
  LogIn();
  const std::string sent = Query("SELECT 1::STRING --" + std::string(kMaxRewrite, 'x'));
  EXPECT_EQ(Client(sent, 100), sent);
}

TEST_F(ConversationTest, MalformedLengthsAndTypesAreRefused) {
  LogIn();
  for (const std::string& bytes : {'Q' + U32(3), 'Q' + U32(0), 'Q' + U32(0x40000000), 'd' + U32(0xffffffff),
                                   Message('!', ""), Message('p', ""), std::string(5, '\0')}) {
    Conversation fresh({.settings = &settings_, .max_rewrite_bytes = kMaxRewrite, .swap_key = {}});
    Feed(fresh.from_server(), kAuthOk, 100);
    EXPECT_EQ(Feed(fresh.from_client(), bytes, 100), "broken");
  }
}

TEST_F(ConversationTest, AStatementWithoutItsEndIsPostgresToRefuse) {
  LogIn();
  EXPECT_EQ(Client(Message('Q', "SELECT 1::STRING")), Message('Q', "SELECT 1::STRING"));
  EXPECT_EQ(Client(Message('P', "no ends::STRING")), Message('P', "no ends::STRING"));
  EXPECT_EQ(Client(Message('Q', "")), Message('Q', ""));
}

TEST_F(ConversationTest, TheCancelKeyIsTheGatewaysOwn) {
  EXPECT_EQ(Server(Message('K', U32(42) + U32(7)), 3), Message('K', U32(42) + U32(8)));
  EXPECT_EQ(swapped_pid_, 42u);
}

TEST_F(ConversationTest, PositionsMoveOnlyForTheStatementInError) {
  LogIn();
  Client(Query("SELECT 1::STRING, boom") + Query("SELECT boom"));
  EXPECT_EQ(Server(ErrorAt(17) + kReady), ErrorAt(19) + kReady);
  EXPECT_EQ(Server(ErrorAt(17) + kReady), ErrorAt(17) + kReady);
}

TEST_F(ConversationTest, PositionsFollowParsesThroughAPipeline) {
  LogIn();
  Client(Parse("SELECT 1") + Parse("SELECT 1::STRING, boom") + Parse("SELECT 'x'::BYTES") + kSync +
         Parse("SELECT boom") + kSync);
  EXPECT_EQ(Server(Message('1', "") + ErrorAt(17) + kReady), Message('1', "") + ErrorAt(19) + kReady);
  EXPECT_EQ(Server(ErrorAt(17) + kReady), ErrorAt(17) + kReady);
}

TEST_F(ConversationTest, TheSyncThatACopyIgnoresIsNotCounted) {
  LogIn();
  Client(Parse("COPY t FROM STDIN") + kSync);
  Server(Message('1', "") + Message('G', std::string(3, '\0')));
  Client(Message('d', "row") + Message('c', "") + kSync + Query("SELECT 1::STRING, boom"));
  Server(Message('C', Text("COPY 1")) + kReady);
  EXPECT_EQ(Server(ErrorAt(17) + kReady), ErrorAt(19) + kReady);
}

TEST_F(ConversationTest, ReportedParametersChangeTheRules) {
  LogIn();
  const auto report = [](const std::string& name, const std::string& value) {
    return Message('S', Text(name) + Text(value));
  };
  Server(report("standard_conforming_strings", "off"));
  EXPECT_EQ(Client(Query("SELECT '\\'::STRING, '")), Query("SELECT '\\'::STRING, '"));
  Server(report("standard_conforming_strings", "on"));
  EXPECT_EQ(Client(Query("SELECT '\\'::STRING")), Query("SELECT '\\'::text"));
  Server(report("client_encoding", "SJIS"));
  EXPECT_EQ(Client(Query("SELECT 1::STRING")), Query("SELECT 1::STRING"));
  Server(report("client_encoding", "UTF8"));
  EXPECT_EQ(Client(Query("SELECT 1::STRING")), Query("SELECT 1::text"));
}

TEST_F(ConversationTest, StopsAtTheNextBoundary) {
  LogIn();
  const std::string row = Message('D', std::string(10, 'r'));
  EXPECT_EQ(Server(row.substr(0, 7)), row.substr(0, 7));
  EXPECT_FALSE(conversation_.from_server().at_boundary());
  conversation_.from_server().Stop();
  EXPECT_EQ(Server(row.substr(7) + row + row), row.substr(7));
  EXPECT_TRUE(conversation_.from_server().at_boundary());
}

// A server that discards statements up to a Sync answers none of them, however many come.
TEST(StatementEditsTest, HoldABoundedNumberOfEdits) {
  StatementEdits edits;
  const std::vector<Edit> many(40'000);
  for (int i = 0; i < 3; ++i) edits.SentParse(many);
  EXPECT_EQ(edits.Current(), nullptr) << "the first is forgotten";
  edits.ParseCompleted();
  EXPECT_EQ(edits.Current(), nullptr);
  edits.ParseCompleted();
  ASSERT_NE(edits.Current(), nullptr);
  EXPECT_EQ(edits.Current()->size(), many.size());
  edits.SentSync();
  edits.SentParse(std::vector<Edit>(100'000));
  EXPECT_FALSE(edits.any());
  for (int i = 0; i < 5000; ++i) edits.SentParse(std::vector<Edit>(1));
  EXPECT_TRUE(edits.any());
}

}  // namespace
}  // namespace keyhold::gateway
