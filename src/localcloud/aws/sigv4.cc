#include "localcloud/aws/sigv4.h"

#include <algorithm>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "localcloud/aws/error.h"
#include "localcloud/aws/url.h"

namespace keyhold::localcloud::aws {
namespace {

using crypto::AsBytes;

constexpr absl::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr size_t kMaxSignedHeaders = 64;

Status Incomplete(std::string_view what) {
  return AwsError("IncompleteSignatureException",
                  absl::StrCat("Authorization header requires '", std::string(what), "' parameter."));
}

Status ParseScope(const std::string& credential, Authorization& out) {
  std::vector<std::string> scope = absl::StrSplit(credential, '/');
  if (scope.size() != 5 || scope[4] != "aws4_request" || scope[0].empty() || scope[1].size() != 8) {
    return AwsError("IncompleteSignatureException",
                    "Credential must have exactly 5 slash-delimited elements, e.g. "
                    "keyid/date/region/service/term, got '" +
                        absl::AsciiStrToLower(credential).substr(0, 200) + "'");
  }
  out.access_key_id = scope[0];
  out.date = scope[1];
  out.region = scope[2];
  out.service = scope[3];
  return OkStatus();
}

Status ParseSignedHeaders(const std::string& value, Authorization& out) {
  out.signed_headers = absl::StrSplit(value, ';');
  bool sorted = std::is_sorted(out.signed_headers.begin(), out.signed_headers.end());
  bool host = absl::c_linear_search(out.signed_headers, "host");
  if (sorted && host && out.signed_headers.size() <= kMaxSignedHeaders) return OkStatus();
  return AwsError("InvalidSignatureException",
                  "'Host' must be a 'SignedHeader' in the AWS Authorization, and "
                  "signed headers must be sorted.");
}

bool IsSignature(const std::string& text) {
  return text.size() == 64 && absl::c_all_of(text, [](unsigned char c) {
           return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f');
         });
}

// "." and ".." resolved and slashes joined, as the specification asks of every service but S3.
std::string NormalizedPath(std::string_view path) {
  std::vector<std::string> kept;
  for (absl::string_view part : absl::StrSplit(absl::string_view(path.data(), path.size()), '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      kept.emplace_back(part);
    } else if (!kept.empty()) {
      kept.pop_back();
    }
  }
  bool slash = !kept.empty() && (path.ends_with('/') || path.ends_with("/.") || path.ends_with("/.."));
  return absl::StrCat("/", absl::StrJoin(kept, "/"), slash ? "/" : "");
}

std::string CanonicalQuery(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto& [name, value] : ParseParameters(query, false)) {
    pairs.emplace_back(PercentEncoded(name), PercentEncoded(value));
  }
  std::sort(pairs.begin(), pairs.end());
  return absl::StrJoin(pairs, "&", [](std::string* out, const auto& pair) {
    absl::StrAppend(out, pair.first, "=", pair.second);
  });
}

// Outer spaces gone, inner runs joined, the values of one name in order, with commas between.
std::string CanonicalValue(const HttpRequest& request, const std::string& name) {
  std::vector<std::string> values;
  for (const auto& [key, value] : request.headers) {
    if (key != name) continue;
    std::string canonical = value;
    absl::RemoveExtraAsciiWhitespace(&canonical);
    values.push_back(canonical);
  }
  return absl::StrJoin(values, ",");
}

std::string PayloadHash(const HttpRequest& request) {
  return crypto::Hex(crypto::Sha256(AsBytes(request.body)));
}

std::string Scope(const Authorization& a) {
  return absl::StrCat(a.date, "/", a.region, "/", a.service, "/aws4_request");
}

Status Mismatch(std::string_view message) { return AwsError("InvalidSignatureException", message); }

Status CheckScope(const Authorization& a, const Endpoint& endpoint) {
  std::string service(ServiceName(endpoint.service));
  if (a.service != service) {
    return Mismatch(absl::StrCat("Credential should be scoped to correct service: '", service, "'."));
  }
  if (a.region != endpoint.region) {
    return Mismatch(absl::StrCat("Credential should be scoped to a valid region, not '", a.region, "'."));
  }
  return OkStatus();
}

// YYYYMMDDTHHMMSSZ. Its parts are taken apart first: absl's %Y would take all the digits.
bool ParseAmzDate(const std::string& text, absl::Time* out) {
  if (text.size() != 16 || text[8] != 'T' || text[15] != 'Z') return false;
  std::string spaced = absl::StrCat(text.substr(0, 4), "-", text.substr(4, 2), "-", text.substr(6, 2), " ",
                                    text.substr(9, 2), ":", text.substr(11, 2), ":", text.substr(13, 2));
  return absl::ParseTime("%Y-%m-%d %H:%M:%S", spaced, absl::UTCTimeZone(), out, nullptr);
}

Status CheckDate(const Authorization& a, const std::string* amz_date, absl::Time now) {
  absl::Time signed_at;
  if (amz_date == nullptr || !ParseAmzDate(*amz_date, &signed_at)) {
    return AwsError("IncompleteSignatureException",
                    "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.");
  }
  if (!absl::StartsWith(*amz_date, a.date)) {
    return Mismatch(
        absl::StrCat("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date "
                     "from HTTP: '",
                     a.date, "' != '", amz_date->substr(0, 8), "', from '", *amz_date, "'."));
  }
  auto stamp = [](absl::Time time) { return absl::FormatTime("%Y%m%dT%H%M%SZ", time, absl::UTCTimeZone()); };
  if (signed_at < now - kMaxClockSkew) {
    return Mismatch(absl::StrCat("Signature expired: ", *amz_date, " is now earlier than ",
                                 stamp(now - kMaxClockSkew), " (", stamp(now), " - 5 min.)"));
  }
  if (signed_at > now + kMaxClockSkew) {
    return Mismatch(absl::StrCat("Signature not yet current: ", *amz_date, " is still later than ",
                                 stamp(now + kMaxClockSkew), " (", stamp(now), " + 5 min.)"));
  }
  return OkStatus();
}

// A header that changes what the request means must be among the signed ones.
Status CheckSignedHeaders(const HttpRequest& request, const Authorization& a) {
  for (const auto& [name, value] : request.headers) {
    if (name.starts_with("x-amz-") && !absl::c_linear_search(a.signed_headers, name)) {
      return Mismatch(
          absl::StrCat("There were headers present in the request which were not signed: ", name));
    }
  }
  for (const std::string& name : a.signed_headers) {
    if (request.Header(name) == nullptr) {
      return Mismatch(absl::StrCat("The signed header '", name, "' is not in the request."));
    }
  }
  return OkStatus();
}

}  // namespace

StatusOr<Authorization> ParseAuthorization(std::string_view header) {
  absl::string_view rest(header.data(), header.size());
  if (!absl::ConsumePrefix(&rest, kAlgorithm) || rest.empty() || rest[0] != ' ') {
    return AwsError("IncompleteSignatureException",
                    "Unsupported AWS 'algorithm': this service takes 'AWS4-HMAC-SHA256'.");
  }
  std::string credential, signed_headers, signature;
  for (absl::string_view part : absl::StrSplit(rest, ',')) {
    std::pair<absl::string_view, absl::string_view> pair =
        absl::StrSplit(absl::StripAsciiWhitespace(part), absl::MaxSplits('=', 1));
    std::string* field = pair.first == "Credential"      ? &credential
                         : pair.first == "SignedHeaders" ? &signed_headers
                         : pair.first == "Signature"     ? &signature
                                                         : nullptr;
    if (field == nullptr || !field->empty()) {
      return AwsError("IncompleteSignatureException",
                      "The Authorization header has a part that is unknown or comes twice.");
    }
    *field = std::string(pair.second);
  }
  if (credential.empty()) return Incomplete("Credential");
  if (signed_headers.empty()) return Incomplete("SignedHeaders");
  if (!IsSignature(signature)) return Incomplete("Signature");
  Authorization out;
  out.signature = signature;
  KEYHOLD_RETURN_IF_ERROR(ParseScope(credential, out));
  KEYHOLD_RETURN_IF_ERROR(ParseSignedHeaders(signed_headers, out));
  return out;
}

std::string CanonicalRequest(const HttpRequest& request, const std::vector<std::string>& signed_headers) {
  std::string_view target = request.target;
  size_t question = target.find('?');
  std::string_view query = question == std::string_view::npos ? "" : target.substr(question + 1);
  std::string out =
      absl::StrCat(request.method, "\n", PercentEncoded(NormalizedPath(target.substr(0, question)), "/"),
                   "\n", CanonicalQuery(query), "\n");
  for (const std::string& name : signed_headers) {
    absl::StrAppend(&out, name, ":", CanonicalValue(request, name), "\n");
  }
  absl::StrAppend(&out, "\n", absl::StrJoin(signed_headers, ";"), "\n", PayloadHash(request));
  return out;
}

std::string StringToSign(const Authorization& authorization, std::string_view amz_date,
                         std::string_view canonical_request) {
  return absl::StrCat(kAlgorithm, "\n", std::string(amz_date), "\n", Scope(authorization), "\n",
                      crypto::Hex(crypto::Sha256(AsBytes(canonical_request))));
}

std::string Signature(crypto::Bytes secret, const Authorization& a, std::string_view string_to_sign) {
  crypto::SecretBytes first(4 + secret.size());
  std::copy_n("AWS4", 4, first.ExposeMutable().begin());
  std::copy(secret.begin(), secret.end(), first.ExposeMutable().begin() + 4);
  crypto::Sha256Digest key = crypto::HmacSha256(first.Expose(), AsBytes(a.date));
  for (const std::string& part : {a.region, a.service, std::string("aws4_request")}) {
    key = crypto::HmacSha256(key, AsBytes(part));
  }
  return crypto::Hex(crypto::HmacSha256(key, AsBytes(string_to_sign)));
}

Status VerifySignature(const HttpRequest& request, const Authorization& authorization, crypto::Bytes secret,
                       const Endpoint& endpoint, absl::Time now) {
  const std::string* amz_date = request.Header("x-amz-date");
  KEYHOLD_RETURN_IF_ERROR(CheckDate(authorization, amz_date, now));
  KEYHOLD_RETURN_IF_ERROR(CheckScope(authorization, endpoint));
  KEYHOLD_RETURN_IF_ERROR(CheckSignedHeaders(request, authorization));
  const std::string* stated_hash = request.Header("x-amz-content-sha256");
  std::string canonical = CanonicalRequest(request, authorization.signed_headers);
  std::string expected = Signature(secret, authorization, StringToSign(authorization, *amz_date, canonical));
  if (!crypto::ConstantTimeEqual(AsBytes(expected), AsBytes(authorization.signature)) ||
      (stated_hash != nullptr && *stated_hash != PayloadHash(request))) {
    return Mismatch(
        "The request signature we calculated does not match the signature you provided. Check your AWS "
        "Secret "
        "Access Key and signing method. Consult the service documentation for details.");
  }
  return OkStatus();
}

}  // namespace keyhold::localcloud::aws
