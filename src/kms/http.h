// The transport seam: one HTTPS request, one answer. libcurl stands behind it; tests script it.
//
// HTTPS only (but for metadata services), TLS 1.2 or newer, certificates always verified, no redirects, no
// other protocol. Bodies hold keys in clear (KMS Encrypt, Decrypt), so they are secrets on both sides.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "base/status.h"
#include "crypto/secret.h"

namespace keyhold::kms {

// Credentials of an AWS principal.
struct AwsCredentials {
  std::string access_key_id;
  crypto::SecretBytes secret_access_key;
  crypto::SecretBytes session_token;  // empty for long-lived keys
  absl::Time expires = absl::InfiniteFuture();
};

// Asks the transport to sign the request by AWS Signature Version 4
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html), over all of its headers and its
// body.
struct AwsSigning {
  std::string region;
  std::string service;
  std::shared_ptr<const AwsCredentials> credentials;
};

struct HttpRequest {
  std::string method = "POST";
  std::string host;  // always one that a table gave, never one from a user
  std::string path = "/";
  std::map<std::string, std::string> headers;
  crypto::SecretBytes body;
  std::optional<AwsSigning> aws;
  // Sent as "Authorization: Bearer", as it is. It has to be printable ASCII without blanks.
  std::shared_ptr<const crypto::SecretBytes> bearer;
  // Headers whose values are secrets: printable ASCII.
  std::map<std::string, std::shared_ptr<const crypto::SecretBytes>> secret_headers;
  // For a cloud's metadata service on this machine's own link (kMetadataHosts): plain HTTP, and no proxy.
  bool metadata = false;
  absl::Duration timeout = absl::Seconds(10);  // of the whole exchange
};

struct HttpResponse {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  crypto::SecretBytes body;
};

// The only hosts that plain HTTP is spoken to; all are link-local, and never leave the machine's hypervisor:
// metadata services, and AWS's agents of containers (ECS, EKS).
inline constexpr std::string_view kMetadataHosts[] = {"169.254.169.254", "metadata.google.internal",
                                                      "169.254.170.2", "169.254.170.23"};

class HttpTransport {
 public:
  virtual ~HttpTransport() = default;

  // Any HTTP status is an answer. kKmsUnreachable, with the reason, when there is none: DNS, refused, reset,
  // timeout, TLS, proxy, or an answer that is cut short or longer than the limit. kInvalidArgument, and
  // nothing is sent, for a metadata request to another host, or a secret that would not stay one header.
  // Safe to use from any thread.
  virtual StatusOr<HttpResponse> Send(const HttpRequest& request) = 0;
};

struct HttpOptions {
  std::string https_proxy;  // http://HOST:PORT; empty: none
  std::string no_proxy;     // hosts that are reached directly, comma separated
  std::string ca_file;      // PEM; empty: the system's
  absl::Duration connect_timeout = absl::Seconds(3);
  size_t max_response_bytes = 256 << 10;
  uint16_t port = 443;
  uint16_t metadata_port = 80;
};

// Starts libcurl so that it wipes the memory that it gives back. Of a process's uses of libcurl the first one
// decides: a program that has others calls this before them, and before its threads. Again: does nothing.
Status InitTransport();

// Over libcurl, keeping connections. kInvalidArgument for a proxy that is not an http:// URL or a CA file
// that cannot be read.
StatusOr<std::unique_ptr<HttpTransport>> NewHttpTransport(const HttpOptions& options);

}  // namespace keyhold::kms
