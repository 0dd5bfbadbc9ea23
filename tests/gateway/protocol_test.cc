#include "gateway/protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/allowlist.h"
#include "gateway/cancel_keys.h"

namespace keyhold::gateway {
namespace {

using ::testing::HasSubstr;

std::string Packet(uint32_t code, const std::string& body) {
  return U32(static_cast<uint32_t>(8 + body.size())) + U32(code) + body;
}

std::string Z(std::initializer_list<std::string> strings) {
  std::string out;
  for (const std::string& text : strings) out += text + '\0';
  return out;
}

TEST(ProtocolTest, StartupMessage) {
  const std::string packet = Packet(3 << 16, Z({"user", "app", "database", "db", ""}));
  const auto parsed = ParseStartup(packet);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->kind, StartupKind::kStartup);
  EXPECT_EQ(parsed->startup.Get("user"), "app");
  EXPECT_EQ(parsed->startup.Get("database"), "db");
  EXPECT_EQ(parsed->startup.Get("options"), "");
  EXPECT_TRUE(CheckStartup(parsed->startup).ok());
}

TEST(ProtocolTest, MinorVersionsArePostgresToNegotiate) {
  EXPECT_TRUE(ParseStartup(Packet((3 << 16) + 2, Z({"user", "app", ""}))).ok());
}

TEST(ProtocolTest, CancelRequest) {
  const auto parsed = ParseStartup(Packet(kCancelRequest, U32(7) + U32(0xfffffffe)));
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->kind, StartupKind::kCancel);
  EXPECT_EQ(parsed->cancel.pid, 7u);
  EXPECT_EQ(parsed->cancel.secret, 0xfffffffeu);
}

TEST(ProtocolTest, EveryTruncationOfAStartupMessageIsRefused) {
  const std::string whole = Z({"user", "app", "options", "-c x=y", ""});
  for (size_t size = 0; size < whole.size(); ++size) {
    const auto parsed = ParseStartup(Packet(3 << 16, whole.substr(0, size)));
    EXPECT_EQ(CauseOf(parsed.status()), Cause::kInvalidArgument) << size;
  }
  EXPECT_EQ(CauseOf(ParseStartup(Packet(3 << 16, whole + "x")).status()), Cause::kInvalidArgument);
  EXPECT_EQ(CauseOf(ParseStartup(U32(99) + U32(3 << 16)).status()), Cause::kInvalidArgument);
  EXPECT_EQ(CauseOf(ParseStartup("").status()), Cause::kInvalidArgument);
  EXPECT_EQ(CauseOf(ParseStartup(Packet(kCancelRequest, U32(7))).status()), Cause::kInvalidArgument);
}

TEST(ProtocolTest, OtherMajorVersionsAreUnimplemented) {
  for (const uint32_t major : {0u, 1u, 2u, 4u, 1234u}) {
    EXPECT_EQ(CauseOf(ParseStartup(Packet(major << 16, Z({""}))).status()), Cause::kUnimplemented) << major;
  }
}

TEST(ProtocolTest, ReplicationAndMissingUserAreRefused) {
  for (const char* value : {"true", "database", "on", "1", "yes"}) {
    const StartupMessage startup{.version = 3 << 16, .parameters = {{"user", "a"}, {"replication", value}}};
    EXPECT_EQ(CauseOf(CheckStartup(startup)), Cause::kUnimplemented) << value;
  }
  for (const char* value : {"false", "OFF", "0", "no"}) {
    const StartupMessage startup{.version = 3 << 16, .parameters = {{"user", "a"}, {"replication", value}}};
    EXPECT_TRUE(CheckStartup(startup).ok()) << value;
  }
  EXPECT_EQ(CauseOf(CheckStartup({})), Cause::kInvalidArgument);
}

// PostgreSQL would write them to the node's log.
TEST(ProtocolTest, ControlCharactersInAParameterAreRefused) {
  for (const char* bad : {"a\nb", "a\rb", "\x1b[2J", "\x7f", "\xc2\x9b", "\xe2\x80\xae"}) {
    for (const StartupMessage& startup :
         {StartupMessage{.version = 3 << 16, .parameters = {{"user", bad}}},
          StartupMessage{.version = 3 << 16, .parameters = {{"user", "a"}, {"database", bad}}},
          StartupMessage{.version = 3 << 16, .parameters = {{"user", "a"}, {bad, "x"}}}}) {
      EXPECT_EQ(CauseOf(CheckStartup(startup)), Cause::kInvalidArgument) << bad;
    }
  }
  const StartupMessage umlauts{.version = 3 << 16,
                               .parameters = {{"user", "mäya"}, {"options", "-c x='a b'"}}};
  EXPECT_TRUE(CheckStartup(umlauts).ok());
}

TEST(ProtocolTest, ErrorFieldsAndPositions) {
  const std::string error =
      FatalError({.sqlstate = "57P01", .message = "why", .detail = "Cause: X.", .hint = "Do."});
  EXPECT_EQ(error[0], 'E');
  EXPECT_EQ(ReadU32(error.substr(1)) + 1, error.size());
  const std::string_view body = std::string_view(error).substr(kHeaderSize);
  EXPECT_EQ(ErrorField(body, 'S'), "FATAL");
  EXPECT_EQ(ErrorField(body, 'C'), "57P01");
  EXPECT_EQ(ErrorField(body, 'H'), "Do.");
  EXPECT_EQ(ErrorField(body, 'P'), "");
  const std::string moved = WithPosition(Z({"Mx", "P12", "Fy"}) + '\0', 7);
  EXPECT_EQ(moved, Z({"Mx", "P7", "Fy"}) + '\0');
  EXPECT_EQ(ErrorField("Mno end", 'M'), "");
}

TEST(ProtocolTest, ChannelBindingMechanismsAreTakenOut) {
  EXPECT_EQ(WithoutChannelBinding(U32(10) + Z({"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", ""})),
            U32(10) + Z({"SCRAM-SHA-256", ""}));
}

TEST(SqlStateTest, LocksAreEndedAndRefusedWithTheirOwnCodes) {
  const LockReason reason{.cause = Cause::kKmsDenied, .message = "m", .hint = {}, .sqlstate = {}};
  EXPECT_EQ(EndedBy(reason).sqlstate, "57P01");
  EXPECT_EQ(RefusedBy(reason).sqlstate, "57P03");
  EXPECT_THAT(EndedBy(reason).hint, HasSubstr("Grant"));
  const LockReason own{.cause = Cause::kInternal, .message = "m", .hint = "h", .sqlstate = "58000"};
  EXPECT_EQ(EndedBy(own).sqlstate, "58000");
  EXPECT_EQ(EndedBy(own).hint, "h");
  for (int cause = 0; cause <= static_cast<int>(Cause::kKmsCorrupt); ++cause) {
    EXPECT_EQ(SqlState(static_cast<Cause>(cause)).size(), 5u);
    EXPECT_FALSE(HintFor(static_cast<Cause>(cause)).empty());
  }
}

TEST(AllowlistTest, Cidrs) {
  const auto list = Allowlist::Parse({"10.0.0.0/8", "192.0.2.7", "2001:db8::/33", "192.0.2.128/25"});
  ASSERT_TRUE(list.ok()) << list.status();
  for (const char* in : {"10.255.1.2", "192.0.2.7", "::ffff:10.1.1.1", "2001:db8:7fff::1", "192.0.2.200"}) {
    EXPECT_TRUE(list->Contains(in)) << in;
  }
  for (const char* out : {"11.0.0.0", "192.0.2.8", "2001:db8:8000::1", "127.0.0.1", "::1", "", "x"}) {
    EXPECT_FALSE(list->Contains(out)) << out;
  }
  EXPECT_TRUE(Allowlist::Parse({"0.0.0.0/0"})->Contains("8.8.8.8"));
  EXPECT_FALSE(Allowlist::Parse({"0.0.0.0/0"})->Contains("::1"));
  EXPECT_FALSE(Allowlist::Parse({"::/0"})->Contains("8.8.8.8"));
  EXPECT_FALSE(Allowlist().Contains("127.0.0.1"));
}

TEST(AllowlistTest, WhatIsNotACidr) {
  for (const char* bad : {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.1/8",
                          "::/129", "example.com", "10.0.0.0/8/8", "10.0.0.0 /8", "1.2.3", "fe80::1%eth0"}) {
    const auto list = Allowlist::Parse({"127.0.0.1", bad});
    EXPECT_EQ(CauseOf(list.status()), Cause::kInvalidArgument) << bad;
    EXPECT_THAT(std::string(list.status().message()), HasSubstr(bad));
  }
}

TEST(CancelKeysTest, OnlyTheLatestSecretOfAProcessCounts) {
  CancelKeys keys(crypto::SystemRandom());
  const uint32_t first = keys.Add(1, 100);
  EXPECT_EQ(keys.Find(1, first), 100u);
  EXPECT_EQ(keys.Find(1, first + 1), std::nullopt);
  EXPECT_EQ(keys.Find(2, first), std::nullopt);
  const uint32_t second = keys.Add(1, 200);
  keys.Remove(1, first);
  EXPECT_EQ(keys.Find(1, second), 200u);
  keys.Remove(1, second);
  EXPECT_EQ(keys.Find(1, second), std::nullopt);
}

}  // namespace
}  // namespace keyhold::gateway
