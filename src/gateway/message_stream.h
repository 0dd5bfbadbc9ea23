// Cuts a stream of bytes into protocol messages, holding as little as it can: most messages pass as they
// come, in whatever pieces; only those that a subclass asks for are collected whole and may be changed.
//
// One instance per direction of a session; used by one thread. PostgreSQL documentation 55.1.
#pragma once

#include <list>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/protocol.h"

namespace keyhold::gateway {

// Bytes on their way out, in order: views into the caller's buffer, and texts of its own.
class Outgoing {
 public:
  // `bytes` must live until this object is cleared.
  void Pass(std::string_view bytes);
  void Own(std::string bytes);
  void Clear();
  const std::vector<std::string_view>& pieces() const { return pieces_; }
  size_t size() const;
  // Everything but the first `skip` bytes.
  std::string CopyFrom(size_t skip) const;

 private:
  std::vector<std::string_view> pieces_;
  std::list<std::string> owned_;  // never moves what the pieces refer to
};

enum class Verdict { kRelay, kCollect, kRefuse };

class MessageStream {
 public:
  virtual ~MessageStream() = default;

  // Takes all of `in`; what may go on is added to `out` and refers to `in`. kInvalidArgument: the peer broke
  // the protocol; the session must end, and `out` still holds what came before.
  Status Feed(std::string_view in, Outgoing& out);

  // True when what has been passed on ends with a whole message.
  bool at_boundary() const { return left_ == 0; }

  // From the next boundary on, everything is dropped.
  void Stop() { stopped_ = true; }

  // The type of the last message that began; 0 before the first.
  char last_type() const { return type_; }

 protected:
  // What to do with a message, from its header. `length` counts itself.
  virtual Verdict Decide(char type, uint32_t length) = 0;
  // A whole message that Decide() said to collect; what the peer shall read instead goes to `out`.
  virtual void Collected(char type, std::string_view message, Outgoing& out) = 0;
  // For Collected(): `message` as it is, without a copy where that can be.
  void PassOn(std::string_view message, Outgoing& out) const;

 private:
  StatusOr<Verdict> Judge(char type, uint32_t length);
  void Collect(std::string_view& in, size_t size, Outgoing& out);
  void Continue(std::string_view& in, Outgoing& out);
  Status Begin(std::string_view& in, Outgoing& out);
  void PassBody(std::string_view& in, Outgoing& out);
  bool Hold(std::string_view& in, size_t size);

  size_t left_ = 0;    // bytes of the current message that still pass
  std::string held_;   // the beginning of a message that does not pass yet
  size_t wanted_ = 0;  // how long held_ must become to be collected; 0: its header is not whole
  char type_ = 0;
  bool in_place_ = false;  // the collected message lies in the caller's buffer
  bool stopped_ = false;
};

}  // namespace keyhold::gateway
