#include "gateway/rewrite.h"

#include <gtest/gtest.h>

namespace keyhold::gateway {
namespace {

const ClusterSettings& Settings() {
  static const auto* settings = new ClusterSettings{
      {"enterprise.encryption.type", [] { return std::string("AES-256-GCM"); }},
      {"odd", [] { return std::string("a'b\\c"); }},
  };
  return *settings;
}

std::string Rewrote(std::string_view sql, TextRules rules = {}) {
  const auto rewritten = Rewrite(sql, Settings(), rules);
  return rewritten ? rewritten->sql : std::string(sql);
}

struct Case {
  const char* before;
  const char* after;  // nullptr: the same
};

constexpr char kAnswer[] = "SELECT E'AES-256-GCM'::pg_catalog.text AS \"enterprise.encryption.type\"";

class RewriteTest : public ::testing::Test {
 protected:
  static void Check(std::initializer_list<Case> cases) {
    for (const Case& c : cases) {
      EXPECT_EQ(Rewrote(c.before), c.after == nullptr ? c.before : c.after);
      // The fast path may never hide what the slow one would do.
      EXPECT_TRUE(c.after == nullptr || MayNeedRewrite(c.before)) << c.before;
    }
  }
};

TEST_F(RewriteTest, TheSeedsStatementsAsTheyStand) {
  Check({
      {"CREATE TABLE cmek_test (id INT PRIMARY KEY, data STRING);",
       "CREATE TABLE cmek_test (id INT PRIMARY KEY, data text);"},
      {"INSERT INTO cmek_test VALUES (1, 'encryption test');", nullptr},
      {"SELECT * FROM cmek_test;", nullptr},
      {"DROP TABLE cmek_test;", nullptr},
      {"SHOW CLUSTER SETTING enterprise.encryption.type", kAnswer},
  });
  EXPECT_EQ(Rewrote("SHOW CLUSTER SETTING enterprise.encryption.type;"), std::string(kAnswer) + ";");
}

TEST_F(RewriteTest, ShowClusterSettingInEveryForm) {
  for (const char* sql : {"show cluster setting enterprise.encryption.type",
                          "Show\n\tCLUSTER  Setting Enterprise.Encryption.Type",
                          "SHOW/* a /* b */ */CLUSTER SETTING -- x\n enterprise . encryption . type",
                          "SHOW CLUSTER SETTING \"enterprise\".encryption.\"type\""}) {
    EXPECT_EQ(Rewrote(sql), kAnswer) << sql;
  }
  EXPECT_EQ(Rewrote("BEGIN; SHOW CLUSTER SETTING odd ;SELECT 1"),
            "BEGIN; SELECT E'a''b\\\\c'::pg_catalog.text AS \"odd\" ;SELECT 1");
}

TEST_F(RewriteTest, UnknownSettingIsLeftToPostgresToRefuse) {
  EXPECT_EQ(Rewrote("SHOW CLUSTER SETTING no.such"), "SHOW \"cluster setting no.such\"");
  EXPECT_EQ(Rewrote("SHOW CLUSTER SETTING \"x\"\"; DROP\""), "SHOW \"cluster setting x\"\"; DROP\"");
}

TEST_F(RewriteTest, WhatOnlyLooksLikeShowClusterSetting) {
  Check({
      {"SHOW CLUSTER SETTING", nullptr},
      {"SHOW CLUSTER SETTING a.", nullptr},
      {"SHOW CLUSTER SETTING a b", nullptr},
      {"SHOW CLUSTER SETTING U&\"a\"", nullptr},
      {"SHOW cluster", nullptr},
      {"SELECT 'SHOW CLUSTER SETTING odd'", nullptr},
      {"SELECT 1 /* ; SHOW CLUSTER SETTING odd */", nullptr},
      {"SELECT $$; SHOW CLUSTER SETTING odd$$", nullptr},
      {"(SHOW CLUSTER SETTING odd)", nullptr},
      {"\"SHOW\" CLUSTER SETTING odd", nullptr},
  });
}

TEST_F(RewriteTest, TypesOfColumns) {
  Check({
      {"create table t (a string, b String(10), c BYTES NOT NULL, d blob, e int64 DEFAULT 1)",
       "create table t (a text, b varchar(10), c bytea NOT NULL, d bytea, e bigint DEFAULT 1)"},
      {"CREATE TABLE t (a STRING[], b STRING ARRAY, c STRING COLLATE \"C\")",
       "CREATE TABLE t (a text[], b text ARRAY, c text COLLATE \"C\")"},
      {"CREATE TEMP TABLE IF NOT EXISTS s.t (a STRING(3)[] CHECK (a > 'STRING'), PRIMARY KEY (a))",
       "CREATE TEMP TABLE IF NOT EXISTS s.t (a varchar(3)[] CHECK (a > 'STRING'), PRIMARY KEY (a))"},
      {"CREATE TABLE string (string STRING, bytes BYTES, UNIQUE (string, bytes))",
       "CREATE TABLE string (string text, bytes bytea, UNIQUE (string, bytes))"},
      {"CREATE TABLE t (\"STRING\" STRING, a INT, CONSTRAINT string CHECK (string > 1))",
       "CREATE TABLE t (\"STRING\" text, a INT, CONSTRAINT string CHECK (string > 1))"},
      {"CREATE TABLE t (a INT) PARTITION BY RANGE (string)", nullptr},
      {"CREATE TABLE t (LIKE string)", nullptr},
      {"CREATE TABLE t (a pg_catalog.string, b string.bytes)", nullptr},
      {"CREATE TABLE t (a BYTES(3))", nullptr},
      {"CREATE TABLE t (a INT, b INTEGER, c INT4, d FLOAT, e JSONB, f UUID, g BOOL)", nullptr},
      {"CREATE UNLOGGED TABLE t (a STRING GENERATED ALWAYS AS (string || x::STRING) STORED)",
       "CREATE UNLOGGED TABLE t (a text GENERATED ALWAYS AS (string || x::text) STORED)"},
  });
}

TEST_F(RewriteTest, TypesInAlterTable) {
  Check({
      {"ALTER TABLE t ADD COLUMN a STRING, ADD b BYTES, ADD COLUMN IF NOT EXISTS c STRING(5) NOT NULL",
       "ALTER TABLE t ADD COLUMN a text, ADD b bytea, ADD COLUMN IF NOT EXISTS c varchar(5) NOT NULL"},
      {"ALTER TABLE IF EXISTS ONLY s.t ALTER COLUMN a TYPE STRING USING string::STRING, ALTER b SET DATA "
       "TYPE BYTES",
       "ALTER TABLE IF EXISTS ONLY s.t ALTER COLUMN a TYPE text USING string::text, ALTER b SET DATA TYPE "
       "bytea"},
      {"ALTER TABLE t RENAME string TO bytes", nullptr},
      {"ALTER TABLE t RENAME COLUMN string TO bytes", nullptr},
      {"ALTER TABLE t DROP COLUMN string", nullptr},
      {"ALTER TABLE string ADD CONSTRAINT bytes UNIQUE (string)", nullptr},
      {"ALTER TABLE t ALTER COLUMN string SET DEFAULT 'x'", nullptr},
      {"ALTER TYPE t ADD ATTRIBUTE a STRING", "ALTER TYPE t ADD ATTRIBUTE a text"},
      {"ALTER TYPE string ADD VALUE 'bytes'", nullptr},
  });
}

TEST_F(RewriteTest, TypesInExpressions) {
  Check({
      {"SELECT 1::STRING, CAST(x AS STRING), CAST((SELECT string FROM t) AS BYTES)",
       "SELECT 1::text, CAST(x AS text), CAST((SELECT string FROM t) AS bytea)"},
      {"SELECT a::string::bytes[]", "SELECT a::text::bytea[]"},
      {"SELECT cast(cast(a AS string(3)) AS bytes) AS string",
       "SELECT cast(cast(a AS varchar(3)) AS bytea) AS string"},
      {"SELECT STRING 'x', f(bytes '\\x00')", "SELECT text 'x', f(bytea '\\x00')"},
      {"SELECT $1::STRING WHERE b = $2 :: BYTES", "SELECT $1::text WHERE b = $2 :: bytea"},
      {"SELECT ARRAY['a']::STRING[]", "SELECT ARRAY['a']::text[]"},
      {"SELECT * FROM f() AS t(a STRING, b INT64)", "SELECT * FROM f() AS t(a text, b bigint)"},
      {"SELECT x::\"string\", x::s.string, x::string.t", nullptr},
  });
}

TEST_F(RewriteTest, NamesStayNames) {
  Check({
      {"SELECT string FROM t", nullptr},
      {"SELECT t.string, string.bytes FROM bytes AS string", nullptr},
      {"SELECT a AS string, b bytes FROM t AS string (bytes, blob)", nullptr},
      {"SELECT string(1), bytes('x'), count(DISTINCT string)", nullptr},
      {"INSERT INTO string (string, bytes) VALUES (1, 2) RETURNING string", nullptr},
      {"UPDATE t SET string = bytes WHERE blob > string", nullptr},
      {"WITH string AS (SELECT bytes FROM t), u AS MATERIALIZED (SELECT string FROM v) SELECT 1", nullptr},
      {"SELECT sum(x) OVER w FROM t WINDOW w AS (PARTITION BY string)", nullptr},
      {"CREATE INDEX string ON t (bytes)", nullptr},
      {"CREATE VIEW string (bytes) AS SELECT (CASE string WHEN 1 THEN 2 END)", nullptr},
      {"CREATE TABLE t AS SELECT string FROM bytes", nullptr},
      {"COMMENT ON COLUMN t.string IS 'bytes'", nullptr},
      {"CREATE TRIGGER t BEFORE INSERT ON string EXECUTE FUNCTION f(string)", nullptr},
      {"SET string TO 'x'", nullptr},
      {"LISTEN string", nullptr},
      {"SELECT position(string IN bytes), substring(string FROM bytes)", nullptr},
      {"GRANT SELECT (string) ON bytes TO blob", nullptr},
  });
}

TEST_F(RewriteTest, TypesOfFunctionsDomainsAndPrepare) {
  Check({
      {"CREATE OR REPLACE FUNCTION f(a STRING, OUT b BYTES, STRING, string STRING = 'x') RETURNS SETOF "
       "STRING AS $$ STRING $$",
       "CREATE OR REPLACE FUNCTION f(a text, OUT b bytea, text, string text = 'x') RETURNS SETOF text AS $$ "
       "STRING $$"},
      {"CREATE FUNCTION f() RETURNS TABLE (a STRING, string INT) LANGUAGE sql AS 'SELECT 1::STRING'",
       "CREATE FUNCTION f() RETURNS TABLE (a text, string INT) LANGUAGE sql AS 'SELECT 1::STRING'"},
      {"DROP FUNCTION f(STRING), g(BYTES, STRING[])", "DROP FUNCTION f(text), g(bytea, text[])"},
      {"GRANT EXECUTE ON FUNCTION f(STRING) TO string", "GRANT EXECUTE ON FUNCTION f(text) TO string"},
      {"CREATE TYPE t AS (a STRING, b BYTES)", "CREATE TYPE t AS (a text, b bytea)"},
      {"CREATE TYPE string AS ENUM ('string')", nullptr},
      {"CREATE DOMAIN d AS STRING CHECK (VALUE <> '')", "CREATE DOMAIN d AS text CHECK (VALUE <> '')"},
      {"PREPARE p (STRING, INT) AS SELECT f(string)", "PREPARE p (text, INT) AS SELECT f(string)"},
      {"PREPARE p AS SELECT f(string)", nullptr},
  });
}

TEST_F(RewriteTest, LiteralsAndCommentsStay) {
  Check({
      {"SELECT 'x::STRING', E'\\'::STRING', U&'::STRING', B'01', X'0f', N'::STRING'", nullptr},
      {"SELECT 'it''s ::STRING'", nullptr},
      {"SELECT E'a'\n  'b\\'::STRING'", nullptr},
      {"SELECT $q$ $$ ::STRING $$ $q$ -- ::STRING\n /* /* ::STRING */ ::STRING */", nullptr},
      {"SELECT \"a\"\"::STRING\"", nullptr},
      {"SELECT 'a'::STRING -- 'b'::STRING", "SELECT 'a'::text -- 'b'::STRING"},
      {"SELECT a$b$::STRING, '$b$'", "SELECT a$b$::text, '$b$'"},
      {"SELECT '\\'::STRING", "SELECT '\\'::text"},
  });
}

TEST_F(RewriteTest, BrokenTextStays) {
  Check({
      {"SELECT 1::STRING, 'open", nullptr},
      {"SELECT 1::STRING /* open", nullptr},
      {"SELECT 1::STRING, \"open", nullptr},
      {"SELECT 1::STRING, $x$ open $y$", nullptr},
      {"", nullptr},
      {"::", nullptr},
      {"))) :: ((", nullptr},
  });
}

TEST_F(RewriteTest, BackslashesEscapeWhereTheSessionSaysSo) {
  EXPECT_EQ(Rewrote("SELECT '\\'::STRING, '", {.standard_strings = false}), "SELECT '\\'::STRING, '");
  EXPECT_EQ(Rewrote("SELECT '\\''::STRING", {.standard_strings = false}), "SELECT '\\''::text");
}

TEST_F(RewriteTest, SeveralStatements) {
  Check({{"CREATE TABLE a (x STRING); SELECT string FROM a; ALTER TABLE a ADD y BYTES;",
          "CREATE TABLE a (x text); SELECT string FROM a; ALTER TABLE a ADD y bytea;"}});
}

TEST_F(RewriteTest, PositionsLeadBackToTheUsersText) {
  const std::string sql = "SELECT 'ä', 1::STRING, 2::BYTES, boom";
  const auto rewritten = Rewrite(sql, Settings(), {});
  ASSERT_TRUE(rewritten);
  // Characters count from 1, and ä is one.
  EXPECT_EQ(OldPosition(rewritten->edits, 1), 1u);
  EXPECT_EQ(OldPosition(rewritten->edits, 16), 16u);  // text
  EXPECT_EQ(OldPosition(rewritten->edits, 18), 16u);  // inside it
  EXPECT_EQ(OldPosition(rewritten->edits, 32), 34u);  // boom
  const auto bytes = Rewrite(sql, Settings(), {.utf8 = false});
  EXPECT_EQ(OldPosition(bytes->edits, 33), 35u);
  EXPECT_EQ(OldPosition(rewritten->edits, 0), 0u);
}

TEST_F(RewriteTest, FastPathPassesWhatHasNoneOfTheWords) {
  EXPECT_FALSE(MayNeedRewrite("SELECT abalance FROM pgbench_accounts WHERE aid = 1"));
  EXPECT_FALSE(MayNeedRewrite("STRIN"));
  EXPECT_TRUE(MayNeedRewrite("sTrInG"));
}

}  // namespace
}  // namespace keyhold::gateway
