// The state machine, cell by cell, as docs/state-machine.md has it.
#include "node/machine.h"

#include <gtest/gtest.h>

#include <map>

namespace keyhold::node {
namespace {

using Cell = std::pair<State, Event>;

const std::map<Cell, std::pair<State, Action>>& Expected() {
  static const std::map<Cell, std::pair<State, Action>> cells = {
      {{State::kStarting, Event::kProbeDue}, {State::kStarting, Action::kOpen}},
      {{State::kStarting, Event::kDone}, {State::kServing, Action::kNone}},
      {{State::kStarting, Event::kKeyLost}, {State::kLocking, Action::kClose}},
      {{State::kStarting, Event::kRevokeAsked}, {State::kLocking, Action::kClose}},
      {{State::kStarting, Event::kBroken}, {State::kFailed, Action::kClose}},
      {{State::kStarting, Event::kStopAsked}, {State::kStopping, Action::kClose}},
      {{State::kServing, Event::kProbeDue}, {State::kServing, Action::kProbe}},
      {{State::kServing, Event::kKeyLost}, {State::kLocking, Action::kClose}},
      {{State::kServing, Event::kRevokeAsked}, {State::kLocking, Action::kClose}},
      {{State::kServing, Event::kEngineEnded}, {State::kServing, Action::kRestartEngine}},
      {{State::kServing, Event::kBroken}, {State::kFailed, Action::kClose}},
      {{State::kServing, Event::kStopAsked}, {State::kStopping, Action::kClose}},
      {{State::kLocking, Event::kDone}, {State::kLocked, Action::kNone}},
      {{State::kLocked, Event::kProbeDue}, {State::kLocked, Action::kOpen}},
      {{State::kLocked, Event::kDone}, {State::kServing, Action::kNone}},
      {{State::kLocked, Event::kKeyLost}, {State::kLocked, Action::kTell}},
      {{State::kLocked, Event::kRevokeAsked}, {State::kLocked, Action::kTell}},
      {{State::kLocked, Event::kBroken}, {State::kFailed, Action::kTell}},
      {{State::kLocked, Event::kStopAsked}, {State::kStopping, Action::kClose}},
      {{State::kFailed, Event::kProbeDue}, {State::kFailed, Action::kOpen}},
      {{State::kFailed, Event::kDone}, {State::kServing, Action::kNone}},
      {{State::kFailed, Event::kKeyLost}, {State::kLocked, Action::kTell}},
      {{State::kFailed, Event::kRevokeAsked}, {State::kLocked, Action::kTell}},
      {{State::kFailed, Event::kBroken}, {State::kFailed, Action::kTell}},
      {{State::kFailed, Event::kStopAsked}, {State::kStopping, Action::kClose}},
      {{State::kStopping, Event::kDone}, {State::kStopped, Action::kNone}},
  };
  return cells;
}

TEST(Machine, EveryCellIsAsWrittenAndAllOthersChangeNothing) {
  for (int s = 0; s <= static_cast<int>(State::kFailed); ++s) {
    for (int e = 0; e <= static_cast<int>(Event::kBroken); ++e) {
      const Cell cell{static_cast<State>(s), static_cast<Event>(e)};
      const auto found = Expected().find(cell);
      const auto expected = found == Expected().end() ? std::pair(cell.first, Action::kNone) : found->second;
      const Transition transition = Next(cell.first, cell.second);
      EXPECT_EQ(transition.next, expected.first) << s << " " << EventName(cell.second);
      EXPECT_EQ(transition.action, expected.second) << s << " " << EventName(cell.second);
    }
  }
}

TEST(Machine, ALostKeyNeverLeavesANodeServing) {
  for (const State state : {State::kStarting, State::kServing, State::kLocked}) {
    EXPECT_NE(Next(state, Event::kKeyLost).next, State::kServing);
  }
}

}  // namespace
}  // namespace keyhold::node
