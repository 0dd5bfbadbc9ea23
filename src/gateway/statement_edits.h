// Remembers, while statements are in flight, which of them were rewritten, so that the position in an error
// can be given in the user's own text.
//
// A unit is what one ReadyForQuery ends: a Query, or extended messages up to a Sync. Within it the server
// answers Parse messages in order and stops at the first error (documentation 55.2.3, 55.2.4). Costs two
// counters while nothing is rewritten. Used by one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "gateway/rewrite.h"

namespace keyhold::gateway {

class StatementEdits {
 public:
  // The client's side. Empty edits: sent as it was.
  void SentQuery(std::vector<Edit> edits);
  void SentParse(std::vector<Edit> edits);
  void SentSync();
  void EndedCopy() { copying_ = false; }

  // The server's side.
  void ParseCompleted() { ++server_.parse; }
  void ReadyForQuery();
  void CopyInStarted();
  void Failed() { copying_ = false; }

  // The edits of the statement that the server is at; nullptr when it was not rewritten.
  const std::vector<Edit>* Current() const;
  // True while anything rewritten is in flight.
  bool any() const { return !entries_.empty(); }

 private:
  struct Place {
    uint64_t unit = 0;
    uint64_t parse = 0;  // Parse messages before, in this unit
    bool operator==(const Place&) const = default;
  };
  struct Entry {
    Place place;
    std::vector<Edit> edits;
  };
  void Remember(std::vector<Edit> edits);
  void Forget();  // the oldest

  Place client_;
  Place server_;
  bool query_last_ = false;  // the last unit was ended by a Query, not a Sync
  bool copying_ = false;     // the server ignores Sync (55.2.6)
  std::deque<Entry> entries_;
  size_t edits_ = 0;  // of all entries
};

}  // namespace keyhold::gateway
