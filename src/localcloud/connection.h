// One accepted connection: bytes in the clear at first, through TLS later, every wait bounded.
//
// It is what stands between a hostile or slow client and the HTTP parser: a request that is not complete by
// its deadline, or is larger than its limit, reads as a closed connection. Used by one thread at a time, but
// for Interrupt().
#pragma once

#include <openssl/types.h>

#include <chrono>
#include <memory>
#include <string>

#include "base/status.h"

namespace keyhold::localcloud {

class Connection {
 public:
  // Owns `socket` from now on.
  explicit Connection(int socket);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Waits at most `idle` for the first byte of a request. True when there is one.
  bool WaitForRequest(std::chrono::milliseconds idle);

  // From now on reads and writes fail after `deadline` from now, and reads after `limit` bytes.
  void StartRequest(std::chrono::milliseconds deadline, size_t limit);
  // The same deadline goes on, with `limit` more bytes.
  void ExtendLimit(size_t limit) { allowance_ = limit; }

  // At least one byte, as read(2); 0 at the end, and -1 on error, past the deadline or over the limit.
  ssize_t Read(char* buffer, size_t size);
  // All of `size`, or -1.
  ssize_t Write(const char* data, size_t size);

  // Reads until a blank line ends the head of an HTTP message; what follows stays unread. kInvalidArgument
  // beyond `limit` bytes; kUnavailable when the client went or was too slow.
  StatusOr<std::string> ReadHead(size_t limit);

  // Serves TLS from now on. kUnavailable when the handshake fails; the message says why.
  Status StartTls(SSL_CTX* context);

  // Waits until the client has gone, Interrupt() was called or `at_most` is over; the deadline waits with it.
  void Linger(std::chrono::milliseconds at_most);

  // Makes every wait of this connection end. From any thread.
  void Interrupt() const;

  int socket() const { return socket_; }

 private:
  bool Wait(short events) const;
  ssize_t ReadSome(char* buffer, size_t size);
  ssize_t Retry(int result, bool* again) const;

  int socket_;
  std::unique_ptr<SSL, void (*)(SSL*)> tls_;
  std::chrono::steady_clock::time_point deadline_;
  size_t allowance_ = 0;
  std::string buffer_;  // read from the client, and not yet by the caller
  size_t consumed_ = 0;
};

}  // namespace keyhold::localcloud
