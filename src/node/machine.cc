#include "node/machine.h"

#include <array>

namespace keyhold::node {
namespace {

struct Row {
  State state;
  Event event;
  Transition transition;
};

constexpr Row kTable[] = {
    // Not serving yet: the first answer of the KMS decides.
    {State::kStarting, Event::kProbeDue, {State::kStarting, Action::kOpen}},
    {State::kStarting, Event::kDone, {State::kServing, Action::kNone}},
    {State::kStarting, Event::kKeyLost, {State::kLocking, Action::kClose}},
    {State::kStarting, Event::kRevokeAsked, {State::kLocking, Action::kClose}},
    {State::kStarting, Event::kBroken, {State::kFailed, Action::kClose}},
    {State::kStarting, Event::kStopAsked, {State::kStopping, Action::kClose}},

    {State::kServing, Event::kProbeDue, {State::kServing, Action::kProbe}},
    {State::kServing, Event::kKeyUsable, {State::kServing, Action::kNone}},
    {State::kServing, Event::kKeyLost, {State::kLocking, Action::kClose}},
    {State::kServing, Event::kRevokeAsked, {State::kLocking, Action::kClose}},
    {State::kServing, Event::kEngineEnded, {State::kServing, Action::kRestartEngine}},
    {State::kServing, Event::kBroken, {State::kFailed, Action::kClose}},
    {State::kServing, Event::kStopAsked, {State::kStopping, Action::kClose}},

    // Closing is one step; whatever happens meanwhile is looked at when it is done.
    {State::kLocking, Event::kDone, {State::kLocked, Action::kNone}},

    // Opening again is the probe of a locked node: it needs the same unwrap.
    {State::kLocked, Event::kProbeDue, {State::kLocked, Action::kOpen}},
    {State::kLocked, Event::kDone, {State::kServing, Action::kNone}},
    {State::kLocked, Event::kKeyLost, {State::kLocked, Action::kTell}},
    {State::kLocked, Event::kRevokeAsked, {State::kLocked, Action::kTell}},
    {State::kLocked, Event::kBroken, {State::kFailed, Action::kTell}},
    {State::kLocked, Event::kStopAsked, {State::kStopping, Action::kClose}},

    // What failed may be mended from outside: a disk that was full, a file that was put back.
    {State::kFailed, Event::kProbeDue, {State::kFailed, Action::kOpen}},
    {State::kFailed, Event::kDone, {State::kServing, Action::kNone}},
    {State::kFailed, Event::kKeyLost, {State::kLocked, Action::kTell}},
    {State::kFailed, Event::kRevokeAsked, {State::kLocked, Action::kTell}},
    {State::kFailed, Event::kBroken, {State::kFailed, Action::kTell}},
    {State::kFailed, Event::kStopAsked, {State::kStopping, Action::kClose}},

    {State::kStopping, Event::kDone, {State::kStopped, Action::kNone}},
};

constexpr std::array<std::string_view, 8> kEventNames = {
    "PROBE_DUE", "KEY_USABLE", "KEY_LOST", "REVOKE_ASKED", "ENGINE_ENDED", "STOP_ASKED", "DONE", "BROKEN"};
constexpr std::array<std::string_view, 6> kActionNames = {"none",  "probe", "open",
                                                          "close", "tell",  "restart engine"};

}  // namespace

Transition Next(State state, Event event) {
  for (const Row& row : kTable) {
    if (row.state == state && row.event == event) return row.transition;
  }
  return {state, Action::kNone};
}

std::string_view EventName(Event event) { return kEventNames[static_cast<size_t>(event)]; }
std::string_view ActionName(Action action) { return kActionNames[static_cast<size_t>(action)]; }

}  // namespace keyhold::node
