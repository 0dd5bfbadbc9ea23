#include "base/environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keyhold {
namespace {

using ::testing::Pair;
using ::testing::UnorderedElementsAre;

TEST(Environment, IsReadByName) {
  const char* const entries[] = {"A=1", "B=", "C=x=y", "none", nullptr};
  EXPECT_THAT(ReadEnvironment(entries),
              UnorderedElementsAre(Pair("A", "1"), Pair("B", ""), Pair("C", "x=y")));
  const char* const nothing[] = {nullptr};
  EXPECT_TRUE(ReadEnvironment(nothing).empty());
}

}  // namespace
}  // namespace keyhold
