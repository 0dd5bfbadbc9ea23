// The inline policies of one user or role: documents by name, which live and die with whom they are of.
//
// Works inside the transaction whose session it is given; used by one thread at a time.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace soci {
class session;
}

namespace keyhold::localcloud::aws {

enum class PolicyHolder { kUser, kRole };

class InlinePolicies {
 public:
  InlinePolicies(soci::session& sql, PolicyHolder kind, std::string_view account, std::string_view holder);

  // Name and document, by name.
  std::vector<std::pair<std::string, std::string>> List();
  void Put(const std::string& name, const std::string& document);
  // False where there was none.
  bool Delete(const std::string& name);

 private:
  soci::session& sql_;
  const std::string kind_, account_, holder_;
};

}  // namespace keyhold::localcloud::aws
