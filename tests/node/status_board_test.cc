#include "node/status_board.h"

#include <gtest/gtest.h>

namespace keyhold::node {
namespace {

TEST(StatusBoardTest, WhatIsNotedWakesNobodyAndIsThereForWhoAsks) {
  StatusBoard board(7);
  board.Note([](wire::NodeStatus& status) { status.last_probe_at = "now"; });
  EXPECT_EQ(board.Now().last_probe_at, "now");
  EXPECT_EQ(board.Await(7, absl::ZeroDuration()).version, 7U);
  board.Change([](wire::NodeStatus& status) { status.failure = "none"; });
  EXPECT_EQ(board.Await(7, absl::ZeroDuration()).version, 8U);
}

}  // namespace
}  // namespace keyhold::node
