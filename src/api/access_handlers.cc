#include <arpa/inet.h>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "api/handlers.h"
#include "api/json_input.h"
#include "api/page.h"
#include "api/views.h"

namespace keyhold::api {
namespace {

using control::AllowlistEntry;
using nlohmann::json;

const std::string& ClusterId(const Request& request) { return request.path.at("cluster_id"); }

StatusOr<Reply> UserReply(const StatusOr<control::SqlUser>& user) {
  if (!user.ok()) return user.status();
  return Reply::Json({{"name", user->name}});
}

// A password may have any printable character; what is wrong with it is said without showing it.
struct NameAndPassword {
  std::string name;
  std::string password;
  ~NameAndPassword() { crypto::Wipe({reinterpret_cast<uint8_t*>(password.data()), password.size()}); }
};

Status ReadPassword(const Request& request, bool with_name, NameAndPassword& out) {
  KEYHOLD_ASSIGN_OR_RETURN(const json object, ParseObject(request.body));
  ObjectReader reader(object, "");
  if (with_name) out.name = reader.Text("name").value_or("");
  out.password = reader.Text("password").value_or("");
  return reader.Finish();
}

StatusOr<Reply> EntryReply(const StatusOr<AllowlistEntry>& entry) {
  if (!entry.ok()) return entry.status();
  return Reply::Json(AllowlistEntryJson(*entry));
}

StatusOr<AllowlistEntry> EntryOfPath(const Request& request) {
  AllowlistEntry entry{ClusterId(request), request.path.at("cidr_ip")};
  if (!absl::SimpleAtoi(request.path.at("cidr_mask"), &entry.cidr_mask)) {
    return Error(Cause::kInvalidArgument, "the path must end with an address and a mask: 10.0.0.0/8");
  }
  return entry;
}

bool RequiredFlag(ObjectReader& reader, const char* name) {
  const auto flag = reader.Flag(name);
  if (!flag) reader.Fail(Error(Cause::kInvalidArgument, absl::StrCat(name, " is missing")));
  return flag.value_or(false);
}

void ReadEntryFields(ObjectReader& reader, AllowlistEntry& entry) {
  entry.name = reader.Text("name").value_or("");
  entry.sql = RequiredFlag(reader, "sql");
  entry.ui = RequiredFlag(reader, "ui");
}

StatusOr<AllowlistEntry> EntryOfPathAndBody(const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(AllowlistEntry entry, EntryOfPath(request));
  KEYHOLD_ASSIGN_OR_RETURN(const json object, ParseObject(request.body));
  ObjectReader reader(object, "");
  ReadEntryFields(reader, entry);
  KEYHOLD_RETURN_IF_ERROR(reader.Finish());
  return entry;
}

// In the order of the addresses, IPv4 first.
std::string SortKey(const AllowlistEntry& entry) {
  const bool v6 = entry.cidr_ip.find(':') != std::string::npos;
  std::string address(v6 ? sizeof(in6_addr) : sizeof(in_addr), '\0');
  inet_pton(v6 ? AF_INET6 : AF_INET, entry.cidr_ip.c_str(), address.data());
  return absl::StrFormat("%d %s %03d", v6 ? 6 : 4, absl::BytesToHexString(address), entry.cidr_mask);
}

}  // namespace

StatusOr<Reply> ListSqlUsers(Services& services, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const auto users, services.sql_users.List(ClusterId(request)));
  std::vector<Keyed> items;
  for (const control::SqlUser& user : users) items.push_back({user.name, {{"name", user.name}}});
  return Paged(request, "users", std::move(items));
}

StatusOr<Reply> CreateSqlUser(Services& services, const Request& request) {
  NameAndPassword input;
  KEYHOLD_RETURN_IF_ERROR(ReadPassword(request, true, input));
  return UserReply(services.sql_users.Create(request.caller, ClusterId(request), input.name, input.password));
}

StatusOr<Reply> DeleteSqlUser(Services& services, const Request& request) {
  return UserReply(services.sql_users.Delete(request.caller, ClusterId(request), request.path.at("name")));
}

StatusOr<Reply> UpdateSqlUserPassword(Services& services, const Request& request) {
  NameAndPassword input;
  KEYHOLD_RETURN_IF_ERROR(ReadPassword(request, false, input));
  return UserReply(services.sql_users.SetPassword(request.caller, ClusterId(request), request.path.at("name"),
                                                  input.password));
}

StatusOr<Reply> ListAllowlist(Services& services, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const auto listing, services.allowlist.List(ClusterId(request)));
  std::vector<Keyed> items;
  for (const AllowlistEntry& entry : listing.entries) {
    items.push_back({SortKey(entry), AllowlistEntryJson(entry)});
  }
  KEYHOLD_ASSIGN_OR_RETURN(Reply reply, Paged(request, "allowlist", std::move(items)));
  json body = json::parse(reply.body);
  body["propagating"] = listing.propagating;
  return Reply::Json(body);
}

StatusOr<Reply> AddAllowlistEntry(Services& services, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const json object, ParseObject(request.body));
  ObjectReader reader(object, "");
  AllowlistEntry entry{ClusterId(request), reader.Text("cidr_ip").value_or("")};
  entry.cidr_mask = reader.Number("cidr_mask", 0, 128).value_or(-1);
  ReadEntryFields(reader, entry);
  KEYHOLD_RETURN_IF_ERROR(reader.Finish());
  return EntryReply(services.allowlist.Add(request.caller, entry));
}

StatusOr<Reply> PutAllowlistEntry(Services& services, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const AllowlistEntry entry, EntryOfPathAndBody(request));
  return EntryReply(services.allowlist.Put(request.caller, entry));
}

StatusOr<Reply> UpdateAllowlistEntry(Services& services, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const AllowlistEntry entry, EntryOfPathAndBody(request));
  return EntryReply(services.allowlist.Update(request.caller, entry));
}

StatusOr<Reply> DeleteAllowlistEntry(Services& services, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const AllowlistEntry entry, EntryOfPath(request));
  return EntryReply(services.allowlist.Delete(request.caller, entry));
}

}  // namespace keyhold::api
