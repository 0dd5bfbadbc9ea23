// psql through the gateway, as a user types it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/gateway/cluster.h"

namespace keyhold::gateway {
namespace {

using ::testing::HasSubstr;

TEST(PsqlTest, TheSeedsSqlRunsVerbatim) {
  const Cluster cluster;
  const Ran ran = cluster.Psql(R"(-c 'SHOW CLUSTER SETTING enterprise.encryption.type;' <<'SQL'
SQL
)");
  EXPECT_EQ(ran.output, "AES-256-GCM\n");
  const Ran seed = cluster.Psql(R"(<<'SQL'
CREATE TABLE cmek_test (id INT PRIMARY KEY, data STRING);
INSERT INTO cmek_test VALUES (1, 'encryption test');
SELECT * FROM cmek_test;
DROP TABLE cmek_test;
SQL
)");
  EXPECT_EQ(seed.output, "CREATE TABLE\nINSERT 0 1\n1|encryption test\nDROP TABLE\n");
}

TEST(PsqlTest, LockEndsAndRefusesAndUnlockServes) {
  Cluster cluster;
  cluster.gateway().Lock({.cause = Cause::kKmsDisabled, .message = "the CMEK key arn:aws:kms:x is disabled"});
  const Ran refused = cluster.Psql("-c 'SELECT 1'");
  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(refused.output, HasSubstr("FATAL:  the CMEK key arn:aws:kms:x is disabled"));
  EXPECT_THAT(refused.output, HasSubstr("Cause: KMS_DISABLED."));
  EXPECT_THAT(refused.output, HasSubstr("Enable the key"));
  cluster.gateway().Unlock();
  EXPECT_EQ(cluster.Psql("-c 'SELECT 1'").output, "1\n");
}

}  // namespace
}  // namespace keyhold::gateway
