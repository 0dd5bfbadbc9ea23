#include "gateway/session.h"

#include <sys/socket.h>

#include <asio/post.hpp>
#include <chrono>

namespace keyhold::gateway {
namespace {

constexpr int kConnectRetryMs = 10;
constexpr int kMaxConnects = 500;

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

std::string AddressOf(const asio::ip::tcp::socket& socket) {
  std::error_code error;
  const asio::ip::address address = socket.remote_endpoint(error).address();
  if (error) return {};
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).to_string();
  }
  const std::string text = address.to_string();
  return text.substr(0, text.find('%'));
}

}  // namespace

Session::Session(Front& front, const Host& host, asio::ip::tcp::socket socket)
    : front_(front),
      host_(host),
      socket_(std::move(socket)),
      server_wait_(host.context),
      deadline_(host.context),
      client_(socket_.native_handle()),
      server_(front),
      address_(AddressOf(socket_)) {
  ++front_.counters.sessions;
  ++front_.counters.starting;
}

Session::~Session() {
  if (server_wait_.is_open()) server_wait_.release();
  LeaveStartup();
  --front_.counters.sessions;
}

void Session::LeaveStartup() {
  if (std::exchange(starting_, false)) --front_.counters.starting;
}

void Session::Start() {
  std::error_code ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket_.set_option(asio::socket_base::keep_alive(true), ignored);
  SetDeadline(front_.limits.startup_timeout_ms);
  ReadPacket();
}

void Session::SetDeadline(int milliseconds) {
  deadline_.expires_after(std::chrono::milliseconds(milliseconds));
  deadline_.async_wait([self = shared_from_this()](std::error_code error) {
    if (!error) self->Close();
  });
}

void Session::WaitClient(bool readable, Step step) {
  socket_.async_wait(readable ? asio::socket_base::wait_read : asio::socket_base::wait_write,
                     [self = shared_from_this(), step](std::error_code error) {
                       if (!error && self->state_ != State::kClosed) (self.get()->*step)();
                     });
}

void Session::WaitServer(bool readable, Step step) {
  if (!server_wait_.is_open()) return;
  using Descriptor = asio::posix::descriptor_base;
  server_wait_.async_wait(readable ? Descriptor::wait_read : Descriptor::wait_write,
                          [self = shared_from_this(), step](std::error_code error) {
                            if (!error && self->state_ != State::kClosed) (self.get()->*step)();
                          });
}

void Session::Wait(Next next, Step step) {
  switch (next) {
    case Next::kClientReadable:
      return WaitClient(true, step);
    case Next::kClientWritable:
      return WaitClient(false, step);
    case Next::kServerReadable:
      return WaitServer(true, step);
    case Next::kServerWritable:
      return WaitServer(false, step);
    default:
      asio::post(host_.context, [self = shared_from_this(), step] {
        if (self->state_ != State::kClosed) (self.get()->*step)();
      });
  }
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
    if (result == IoResult::kWantRead) return WaitClient(true, &Session::ReadPacket);
    if (result == IoResult::kWantWrite) return WaitClient(false, &Session::ReadPacket);
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
  if (result == IoResult::kWantRead) return WaitClient(true, &Session::Handshake);
  if (result == IoResult::kWantWrite) return WaitClient(false, &Session::Handshake);
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
  deadline_.expires_after(std::chrono::milliseconds(kConnectRetryMs));
  deadline_.async_wait([self = shared_from_this()](std::error_code error) {
    if (!error && self->state_ == State::kConnecting) self->Connect();
  });
}

void Session::BeginRelay() {
  deadline_.cancel();
  LeaveStartup();
  server_wait_.assign(server_.fd());
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
  if (next == Next::kEnd) return ServerGone();
  if (next == Next::kBroken) return Refuse(relay_->error());
  Wait(next, &Session::PumpServer);
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
  LeaveStartup();
  state_ = State::kEnding;
  if (server_wait_.is_open()) server_wait_.release();
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
  std::error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  Drain();
}

// Closing a socket with unread bytes resets the connection, and the client might never see the last words.
void Session::Drain() {
  while (true) {
    const ssize_t count = recv(socket_.native_handle(), host_.buffer.data(), host_.buffer.size(), 0);
    if (count < 0 && errno == EAGAIN) return WaitClient(true, &Session::Drain);
    if (count <= 0) return Close();
  }
}

void Session::Cancel(const CancelRequest& request) {
  const auto secret =
      front_.Allows(address_) ? front_.cancel_keys.Find(request.pid, request.secret) : std::nullopt;
  if (!secret || !server_.Connect().ok()) return Close();
  ++front_.counters.cancels;
  size_t put = 0;
  server_.Write(U32(16) + U32(kCancelRequest) + U32(request.pid) + U32(*secret), &put);
  server_wait_.assign(server_.fd());
  state_ = State::kCancelling;
  AwaitCancelled();
}

// PostgreSQL closes when the signal is sent; only then may the client believe so.
void Session::AwaitCancelled() {
  size_t got = 0;
  if (server_.Read(host_.buffer.data(), host_.buffer.size(), &got) == IoResult::kWantRead) {
    return WaitServer(true, &Session::AwaitCancelled);
  }
  Close();
}

void Session::Close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  if (server_wait_.is_open()) server_wait_.release();
  server_.Close();
  deadline_.cancel();
  std::error_code ignored;
  socket_.close(ignored);
  host_.closed(this);
}

}  // namespace keyhold::gateway
