// One client from accept to close. Its state names what it waits for; each state has one function that runs
// when the wait is over.
//
//   kGreeting   the first packet, in the clear: SSLRequest, GSSENCRequest or CancelRequest
//   kHandshake  TLS
//   kStartup    the startup message (or a CancelRequest) inside TLS
//   kConnecting PostgreSQL's queue is full
//   kRelaying   bytes go both ways; authentication is PostgreSQL's
//   kCancelling PostgreSQL reads our CancelRequest
//   kEnding     the last message is on its way to the client
//   kClosed
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "gateway/front.h"
#include "gateway/loop.h"
#include "gateway/relay.h"

namespace keyhold::gateway {

// Lives on the one thread that runs its loop; all functions but the constructor are called there.
class Session : public Watcher, public std::enable_shared_from_this<Session> {
 public:
  // What a session gets from the thread that runs it.
  struct Host {
    Loop& loop;
    std::span<char> buffer;  // shared by the thread's sessions, each for the length of one step
    std::function<void(Session*)> closed;
  };

  // `front` and `host` must outlive it. Takes `fd`, a connection that does not block, from `address`.
  Session(Front& front, const Host& host, int fd, std::string address);
  ~Session() override;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void Start();
  // The gate was shut: ends a relayed session with `reason` at the next message boundary. Sessions in other
  // states meet the gate by themselves.
  void End(const LockReason& reason);
  // At once, without a word.
  void Close();
  // Not logged in to PostgreSQL yet.
  bool starting() const { return starting_; }

 private:
  enum class State { kGreeting, kHandshake, kStartup, kConnecting, kRelaying, kCancelling, kEnding, kClosed };
  using Step = void (Session::*)();

  void ReadPacket();
  void TakePacket();
  void TakePlain(const StartupPacket& packet);
  void TakeEncrypted(const StartupPacket& packet);
  void BeginTls();
  void Handshake();
  void Connect();
  void BeginRelay();
  void Cancel(const CancelRequest& request);
  void AwaitCancelled();
  void PumpClient();
  void PumpServer();
  void ServerGone();
  bool EndAtBoundary();
  void Refuse(const ErrorText& text);
  void Refuse(const Status& status);
  void Finish(std::string last_words);
  void FlushEnding();
  void Drain();

  void Ready(int which, bool readable, bool writable) override;
  void Expired() override;
  bool WatchServer();
  bool WatchWritable(Next next, bool on);
  void Wait(Next next, Step step);
  void SetDeadline(int milliseconds);
  void LoggedIn();
  bool Answer(char byte);

  // What a step waits for. The two directions of a relay wait each for its own; all else uses the first.
  struct Waiting {
    Step step = nullptr;
    Next next = Next::kAgain;
  };

  Front& front_;
  const Host& host_;
  const int fd_;
  uint64_t id_ = 0;  // in the loop
  std::array<Waiting, 2> waiting_;
  unsigned ready_ = 0;  // a bit for each Next that came while nobody waited for it
  unsigned armed_ = 0;  // a bit for each Next that the loop is asked for beyond readability
  ClientChannel client_;
  ServerChannel server_;
  std::unique_ptr<Relay> relay_;
  State state_ = State::kGreeting;
  std::string address_;
  std::string packet_;  // the startup packet so far; then the last words
  std::optional<LockReason> ending_;
  bool starting_ = true;
  bool gss_asked_ = false;
  int connects_ = 0;
};

}  // namespace keyhold::gateway
