#include "gateway/session.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

namespace keyhold::gateway {
namespace {

constexpr int kConnectRetryMs = 10;
constexpr int kMaxConnects = 500;
constexpr int kReadsPerStep = 4;  // then others have their turn, and so has the deadline

ErrorText TlsRequired() {
  return {.sqlstate = std::string(kInvalidAuthorization),
          .message = "this cluster takes connections over TLS only",
          .detail = {},
          .hint =
              "Connect with sslmode=verify-full and sslrootcert, as ccloud cluster sql --connection-url "
              "prints it."};
}

ErrorText ServerCrashed() {
  return {.sqlstate = std::string(kCrashShutdown),
          .message = "the database closed the connection unexpectedly",
          .detail = {},
          .hint = "Connect again in a moment; a transaction that was not acknowledged may be lost."};
}

void SetOption(int fd, int level, int option) {
  const int on = 1;
  setsockopt(fd, level, option, &on, sizeof on);  // a connection that is gone says so when it is read
}

constexpr unsigned Bit(Next next) { return 1U << static_cast<unsigned>(next); }

}  // namespace

Session::Session(Front& front, const Host& host, int fd, std::string address)
    : front_(front), host_(host), fd_(fd), client_(fd), server_(front), address_(std::move(address)) {
  ++front_.counters.sessions;
}

Session::~Session() {
  if (id_ != 0) host_.loop.Leave(id_);
  if (state_ != State::kClosed) close(fd_);
  --front_.counters.sessions;
}

void Session::Start() {
  SetOption(fd_, IPPROTO_TCP, TCP_NODELAY);
  SetOption(fd_, SOL_SOCKET, SO_KEEPALIVE);
  id_ = host_.loop.Enroll(this);
  SetDeadline(front_.limits.startup_timeout_ms);
  if (!host_.loop.Watch(id_, 0, fd_).ok()) return Close();
  ReadPacket();
}

void Session::SetDeadline(int milliseconds) {
  host_.loop.SetDeadline(id_, std::chrono::milliseconds(milliseconds));
}

void Session::Expired() {
  const auto self = shared_from_this();
  state_ == State::kConnecting ? Connect() : Close();
}

bool Session::WatchServer() {
  const unsigned server = Bit(Next::kServerReadable) | Bit(Next::kServerWritable);
  ready_ &= ~server;
  armed_ &= ~server;
  return host_.loop.Watch(id_, 1, server_.fd()).ok();
}

bool Session::WatchWritable(Next next, bool on) {
  const bool client = next == Next::kClientWritable;
  armed_ = on ? armed_ | Bit(next) : armed_ & ~Bit(next);
  return host_.loop.WatchWritable(id_, client ? 0 : 1, client ? fd_ : server_.fd(), on).ok();
}

// Each direction's step runs when what it waits for has come; what nobody waits for is kept.
void Session::Ready(int which, bool readable, bool writable) {
  const auto self = shared_from_this();
  const Next write = which == 0 ? Next::kClientWritable : Next::kServerWritable;
  if (readable) ready_ |= Bit(which == 0 ? Next::kClientReadable : Next::kServerReadable);
  if (writable) ready_ |= Bit(write);
  if (writable && (armed_ & Bit(write)) != 0 && !WatchWritable(write, false)) return Close();
  unsigned taken = 0;
  std::array<Step, 2> steps{};
  for (size_t i = 0; i < waiting_.size(); ++i) {
    if (waiting_[i].step == nullptr || (ready_ & Bit(waiting_[i].next)) == 0) continue;
    taken |= Bit(waiting_[i].next);
    steps[i] = std::exchange(waiting_[i].step, nullptr);
  }
  ready_ &= ~taken;
  for (const Step step : steps) {
    if (step != nullptr && state_ != State::kClosed) (this->*step)();
  }
}

void Session::Wait(Next next, Step step) {
  if (next != Next::kAgain && (ready_ & Bit(next)) == 0) {
    waiting_[step == &Session::PumpServer ? 1 : 0] = {step, next};
    const bool write = next == Next::kClientWritable || next == Next::kServerWritable;
    if (write && (armed_ & Bit(next)) == 0 && !WatchWritable(next, true)) Close();
    return;
  }
  ready_ &= ~Bit(next);
  host_.loop.Again([self = shared_from_this(), step] {
    if (self->state_ != State::kClosed) (self.get()->*step)();
  });
}

// Reads exactly one packet and no byte more: what follows may already be TLS, and must be nothing else
// (CVE-2021-23214).
void Session::ReadPacket() {
  while (true) {
    size_t size = 4;
    if (packet_.size() >= 4) {
      const auto length = StartupLength(packet_);
      if (!length.ok()) return Refuse(length.status());
      size = *length;
    }
    if (packet_.size() == size) return TakePacket();
    size_t got = 0;
    const size_t room = std::min(size - packet_.size(), host_.buffer.size());
    const IoResult result = client_.Read(host_.buffer.data(), room, &got);
    if (result == IoResult::kWantRead) return Wait(Next::kClientReadable, &Session::ReadPacket);
    if (result == IoResult::kWantWrite) return Wait(Next::kClientWritable, &Session::ReadPacket);
    if (result != IoResult::kDone) return Close();
    packet_.append(host_.buffer.data(), got);
  }
}

void Session::TakePacket() {
  const auto packet = ParseStartup(packet_);
  if (!packet.ok()) return Refuse(packet.status());
  if (packet->kind == StartupKind::kCancel) return Cancel(packet->cancel);
  return state_ == State::kGreeting ? TakePlain(*packet) : TakeEncrypted(*packet);
}

void Session::TakePlain(const StartupPacket& packet) {
  if (packet.kind == StartupKind::kSslRequest) return BeginTls();
  if (packet.kind == StartupKind::kGssEncRequest && !gss_asked_) {
    gss_asked_ = true;
    packet_.clear();
    if (Answer('N')) ReadPacket();
    return;
  }
  Refuse(front_.Allows(address_) ? TlsRequired() : *front_.Refusal(address_));
}

void Session::TakeEncrypted(const StartupPacket& packet) {
  if (packet.kind != StartupKind::kStartup) {
    return Refuse(
        Error(Cause::kInvalidArgument, "the connection is encrypted already; send a startup message"));
  }
  const Status status = CheckStartup(packet.startup);
  if (!status.ok()) return Refuse(status);
  state_ = State::kConnecting;
  Connect();
}

bool Session::Answer(char byte) {
  size_t put = 0;
  if (client_.Write({&byte, 1}, &put) == IoResult::kDone) return true;
  Close();
  return false;
}

void Session::BeginTls() {
  if (!Answer('S')) return;
  packet_.clear();
  const Status status = client_.StartTls(front_.tls().get());
  if (!status.ok()) return Close();
  state_ = State::kHandshake;
  Handshake();
}

void Session::Handshake() {
  const IoResult result = client_.Handshake();
  if (result == IoResult::kWantRead) return Wait(Next::kClientReadable, &Session::Handshake);
  if (result == IoResult::kWantWrite) return Wait(Next::kClientWritable, &Session::Handshake);
  if (result != IoResult::kDone) return Close();
  if (const auto refusal = front_.Refusal(address_)) return Refuse(*refusal);
  state_ = State::kStartup;
  ReadPacket();
}

void Session::Connect() {
  const Status status = server_.Connect();
  if (status.ok()) return BeginRelay();
  const auto refusal = front_.Refusal(address_);
  if (refusal) return Refuse(*refusal);
  if (CauseOf(status) != Cause::kConflict || ++connects_ == kMaxConnects) return Refuse(status);
  SetDeadline(kConnectRetryMs);
}

void Session::BeginRelay() {
  SetDeadline(front_.limits.startup_timeout_ms);
  if (!WatchServer()) return Close();
  relay_ = std::make_unique<Relay>(front_, client_, server_);
  relay_->Begin(std::exchange(packet_, {}));
  state_ = State::kRelaying;
  PumpServer();
  PumpClient();
}

void Session::PumpClient() {
  if (state_ != State::kRelaying || ending_) return;
  const Next next = relay_->FromClient(host_.buffer);
  if (next == Next::kEnd) return Close();
  if (next == Next::kBroken) return Refuse(relay_->error());
  Wait(next, &Session::PumpClient);
}

void Session::PumpServer() {
  if (state_ != State::kRelaying) return;
  const Next next = relay_->FromServer(host_.buffer);
  if (EndAtBoundary()) return;
  if (starting_ && relay_->conversation().started()) LoggedIn();
  if (next == Next::kEnd) return ServerGone();
  if (next == Next::kBroken) return Refuse(relay_->error());
  Wait(next, &Session::PumpServer);
}

void Session::LoggedIn() {
  starting_ = false;
  if (!ending_) host_.loop.ClearDeadline(id_);
}

// Also when it is the client that could not be written to: then the last words go nowhere, and it closes.
void Session::ServerGone() {
  const bool expected = relay_->conversation().terminated() ||
                        relay_->conversation().from_server().last_type() == 'E' || ending_.has_value();
  Finish(expected ? std::string() : FatalError(ServerCrashed()));
}

void Session::End(const LockReason& reason) {
  if (state_ == State::kCancelling) return Close();
  if (state_ != State::kRelaying || ending_) return;
  ending_ = reason;
  ++front_.counters.ended;
  relay_->conversation().from_server().Stop();
  SetDeadline(front_.limits.end_timeout_ms);
  EndAtBoundary();
}

// ReadyForQuery behind the error is more than PostgreSQL says when it ends a session. Without it, libpq 15
// waits for it, meets the end of the connection instead, and PQexec() returns that in place of the error.
bool Session::EndAtBoundary() {
  if (!ending_ || !relay_->conversation().from_server().at_boundary()) return false;
  const bool started = relay_->conversation().started();
  Finish(FatalError(EndedBy(*ending_)) + (started ? Message('Z', "I") : std::string()));
  return true;
}

void Session::Refuse(const Status& status) {
  Refuse(ErrorText{.sqlstate = std::string(SqlState(CauseOf(status))),
                   .message = std::string(status.message()),
                   .detail = {},
                   .hint = {}});
}

void Session::Refuse(const ErrorText& text) {
  ++front_.counters.refused;
  Finish(FatalError(text));
}

void Session::Finish(std::string last_words) {
  state_ = State::kEnding;
  waiting_ = {};
  server_.Close();
  if (relay_ == nullptr) relay_ = std::make_unique<Relay>(front_, client_, server_);
  packet_ = std::move(last_words);
  SetDeadline(front_.limits.end_timeout_ms);
  FlushEnding();
}

void Session::FlushEnding() {
  const Next next = relay_->ToClient(std::exchange(packet_, {}));
  if (next != Next::kEnd) return Wait(next, &Session::FlushEnding);
  client_.SayClose();
  shutdown(fd_, SHUT_WR);
  Drain();
}

// Closing a socket with unread bytes resets the connection, and the client might never see the last words.
void Session::Drain() {
  for (int i = 0; i < kReadsPerStep; ++i) {
    const ssize_t count = recv(fd_, host_.buffer.data(), host_.buffer.size(), 0);
    if (count < 0 && errno == EAGAIN) return Wait(Next::kClientReadable, &Session::Drain);
    if (count <= 0) return Close();
  }
  Wait(Next::kAgain, &Session::Drain);
}

void Session::Cancel(const CancelRequest& request) {
  const auto secret =
      front_.Allows(address_) ? front_.cancel_keys.Find(request.pid, request.secret) : std::nullopt;
  if (!secret || !server_.Connect().ok()) return Close();
  ++front_.counters.cancels;
  size_t put = 0;
  server_.Write(U32(16) + U32(kCancelRequest) + U32(request.pid) + U32(*secret), &put);
  if (!WatchServer()) return Close();
  state_ = State::kCancelling;
  AwaitCancelled();
}

// PostgreSQL closes when the signal is sent; only then may the client believe so.
void Session::AwaitCancelled() {
  size_t got = 0;
  if (server_.Read(host_.buffer.data(), host_.buffer.size(), &got) == IoResult::kWantRead) {
    return Wait(Next::kServerReadable, &Session::AwaitCancelled);
  }
  Close();
}

void Session::Close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  server_.Close();
  host_.loop.ClearDeadline(id_);
  close(fd_);
  host_.closed(this);
}

}  // namespace keyhold::gateway
