#include "localcloud/connect_request.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace keyhold::localcloud {
namespace {

bool IsHostName(absl::string_view host) {
  return !host.empty() && host.size() <= 253 && std::all_of(host.begin(), host.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '.' || c == '-';
  });
}

bool IsMethod(absl::string_view method) {
  return !method.empty() &&
         std::all_of(method.begin(), method.end(), [](unsigned char c) { return absl::ascii_isupper(c); });
}

}  // namespace

StatusOr<ConnectTarget> ParseConnect(std::string_view head) {
  absl::string_view line(head.data(), std::min(head.find('\n'), head.size()));
  std::vector<absl::string_view> words = absl::StrSplit(absl::StripSuffix(line, "\r"), ' ');
  if (words.size() != 3 || !IsMethod(words[0]) || (words[2] != "HTTP/1.1" && words[2] != "HTTP/1.0")) {
    return Error(Cause::kInvalidArgument, "this is not an HTTP/1.1 request");
  }
  if (words[0] != "CONNECT") {
    return Error(Cause::kUnimplemented,
                 "this port is a CONNECT proxy: set HTTPS_PROXY to it, and use the cloud's own https URLs");
  }
  size_t colon = words[1].rfind(':');
  ConnectTarget target;
  if (colon == absl::string_view::npos || !IsHostName(words[1].substr(0, colon)) ||
      !absl::SimpleAtoi(words[1].substr(colon + 1), &target.port) || target.port < 1 || target.port > 65535) {
    return Error(Cause::kInvalidArgument, "CONNECT needs HOST:PORT");
  }
  target.host = absl::AsciiStrToLower(words[1].substr(0, colon));
  return target;
}

}  // namespace keyhold::localcloud
