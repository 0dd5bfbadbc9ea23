// The node's states, as one table: what may happen in each, what is done about it, and where that leads.
//
// Pure: no clock, no disk, no KMS. node.cc feeds it events and carries out its actions; docs/state-machine.md
// prints the same table for people.
#pragma once

#include <string_view>

#include "wire/node.h"

namespace keyhold::node {

using State = wire::NodeState;

enum class Event {
  kProbeDue,     // time to prove that the key may be used
  kKeyUsable,    // it may
  kKeyLost,      // refused, and refused again when confirmed; or unreachable for longer than the grace
  kRevokeAsked,  // the customer's REVOKE
  kEngineEnded,  // PostgreSQL ended by itself
  kStopAsked,    // SIGTERM, POST /stop
  kDone,         // the action of the last transition succeeded
  kBroken,       // it failed, for another reason than the key
};

enum class Action {
  kNone,
  kProbe,          // ask the KMS
  kOpen,           // unwrap, mount, start PostgreSQL, let sessions in
  kClose,          // end sessions, stop PostgreSQL, unmount, wipe keys
  kTell,           // closed already: give the reason of now
  kRestartEngine,  // end sessions, start PostgreSQL again, let sessions in
};

struct Transition {
  State next;
  Action action;
};

// Every pair is defined; what may not happen in a state changes nothing there.
Transition Next(State state, Event event);

std::string_view EventName(Event event);
std::string_view ActionName(Action action);

}  // namespace keyhold::node
