#include "gateway/statement_edits.h"

#include <algorithm>
#include <utility>

namespace keyhold::gateway {
namespace {
// Deeper pipelines lose the positions of their oldest statements, not their results: a client may send for
// ever what the server does not answer.
constexpr size_t kMaxEntries = 1024;
constexpr size_t kMaxEdits = 64 << 10;  // of all entries: 2 MiB
}  // namespace

void StatementEdits::Remember(std::vector<Edit> edits) {
  if (edits.empty()) return;
  edits_ += edits.size();
  entries_.push_back({.place = client_, .edits = std::move(edits)});
  while (entries_.size() > kMaxEntries || edits_ > kMaxEdits) Forget();
}

void StatementEdits::Forget() {
  edits_ -= entries_.front().edits.size();
  entries_.pop_front();
}

void StatementEdits::SentQuery(std::vector<Edit> edits) {
  Remember(std::move(edits));
  client_ = {.unit = client_.unit + 1, .parse = 0};
  query_last_ = true;
}

void StatementEdits::SentParse(std::vector<Edit> edits) {
  Remember(std::move(edits));
  ++client_.parse;
}

void StatementEdits::SentSync() {
  if (copying_) return;
  client_ = {.unit = client_.unit + 1, .parse = 0};
  query_last_ = false;
}

// Clients send Sync behind an Execute that turns out to be a COPY; the server ignores it and waits for the
// one after CopyDone.
void StatementEdits::CopyInStarted() {
  copying_ = true;
  if (!query_last_) client_ = server_;
}

void StatementEdits::ReadyForQuery() {
  server_ = {.unit = server_.unit + 1, .parse = 0};
  if (client_.unit < server_.unit) client_ = server_;
  while (!entries_.empty() && entries_.front().place.unit < server_.unit) Forget();
}

const std::vector<Edit>* StatementEdits::Current() const {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& entry) { return entry.place == server_; });
  return found == entries_.end() ? nullptr : &found->edits;
}

}  // namespace keyhold::gateway
