#include "gateway/message_stream.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace keyhold::gateway {

void Outgoing::Pass(std::string_view bytes) {
  if (bytes.empty()) return;
  if (!pieces_.empty() && pieces_.back().data() + pieces_.back().size() == bytes.data()) {
    pieces_.back() = {pieces_.back().data(), pieces_.back().size() + bytes.size()};
  } else {
    pieces_.push_back(bytes);
  }
}

void Outgoing::Own(std::string bytes) {
  owned_.push_back(std::move(bytes));
  pieces_.emplace_back(owned_.back());
}

void Outgoing::Clear() {
  pieces_.clear();
  owned_.clear();
}

size_t Outgoing::size() const {
  size_t total = 0;
  for (const std::string_view piece : pieces_) total += piece.size();
  return total;
}

std::string Outgoing::CopyFrom(size_t skip) const {
  std::string out;
  for (const std::string_view piece : pieces_) {
    const size_t skipped = std::min(skip, piece.size());
    out += piece.substr(skipped);
    skip -= skipped;
  }
  return out;
}

Status MessageStream::Feed(std::string_view in, Outgoing& out) {
  while (!in.empty()) {
    if (left_ > 0) {
      PassBody(in, out);
    } else if (stopped_) {
      held_.clear();
      return OkStatus();
    } else {
      KEYHOLD_RETURN_IF_ERROR(Begin(in, out));
    }
  }
  return OkStatus();
}

void MessageStream::PassBody(std::string_view& in, Outgoing& out) {
  const size_t size = std::min(left_, in.size());
  out.Pass(in.substr(0, size));
  in.remove_prefix(size);
  left_ -= size;
}

// Moves bytes from `in` until held_ has `size`; false when there are not enough yet.
bool MessageStream::Hold(std::string_view& in, size_t size) {
  const size_t take = std::min(size - held_.size(), in.size());
  held_ += in.substr(0, take);
  in.remove_prefix(take);
  return held_.size() == size;
}

// Goes on with a message that is being collected across several reads.
void MessageStream::Continue(std::string_view& in, Outgoing& out) {
  if (!Hold(in, wanted_)) return;
  Collected(type_, held_, out);
  std::string().swap(held_);
  wanted_ = 0;
}

StatusOr<Verdict> MessageStream::Judge(char type, uint32_t length) {
  const bool sane = length >= 4 && length <= kMaxMessageLength;
  const Verdict verdict = sane ? Decide(type, length) : Verdict::kRefuse;
  if (verdict != Verdict::kRefuse) return verdict;
  return Error(Cause::kInvalidArgument,
               absl::StrCat("unexpected message of type ", static_cast<int>(static_cast<uint8_t>(type)),
                            " and length ", length, "; check the client and what stands between"));
}

void MessageStream::Collect(std::string_view& in, size_t size, Outgoing& out) {
  if (held_.empty() && in.size() >= size) {
    in_place_ = true;
    Collected(type_, in.substr(0, size), out);
    in_place_ = false;
    in.remove_prefix(size);
  } else {
    wanted_ = size;
    if (held_.size() == size) Continue(in, out);
  }
}

void MessageStream::PassOn(std::string_view message, Outgoing& out) const {
  if (in_place_) {
    out.Pass(message);
  } else {
    out.Own(std::string(message));
  }
}

Status MessageStream::Begin(std::string_view& in, Outgoing& out) {
  if (wanted_ > 0) {
    Continue(in, out);
    return OkStatus();
  }
  const bool in_place = held_.empty() && in.size() >= kHeaderSize;
  if (!in_place && !Hold(in, kHeaderSize)) return OkStatus();
  const std::string_view header = in_place ? in.substr(0, kHeaderSize) : std::string_view(held_);
  const uint32_t length = ReadU32(header.substr(1));
  KEYHOLD_ASSIGN_OR_RETURN(const Verdict verdict, Judge(header[0], length));
  type_ = header[0];
  const size_t size = size_t{length} + 1;
  if (verdict == Verdict::kCollect) {
    Collect(in, size, out);
  } else {
    left_ = in_place ? size : size - kHeaderSize;
    if (!in_place) out.Own(std::exchange(held_, {}));
  }
  return OkStatus();
}

}  // namespace keyhold::gateway
