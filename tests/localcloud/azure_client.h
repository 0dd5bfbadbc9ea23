// Speaks to a local cloud's Azure through its proxy, with its CA and bearer tokens, as any client would.
#pragma once

#include <map>
#include <string>

#include "tests/localcloud/test_cloud.h"

namespace keyhold::localcloud {

struct AzureAnswer {
  int status = 0;  // 0: no answer
  std::string text;
  Json body;
  std::map<std::string, std::string> headers;  // names in lower case
  bool ok() const { return status >= 200 && status < 300; }
  std::string code() const;   // of an error
  std::string inner() const;  // of its innererror
};

class AzureClient {
 public:
  // Acts as the customer of `cloud`, which must outlive this.
  explicit AzureClient(const TestCloud& cloud);

  const Json& customer() const { return customer_; }    // customer.json's "azure"
  const Json& principal() const { return principal_; }  // principals.json's "azure"
  std::string VaultHost() const { return customer_["vault"].get<std::string>() + ".vault.azure.net"; }
  std::string KeyUri(const std::string& name) const { return "https://" + VaultHost() + "/keys/" + name; }

  AzureAnswer Login(const std::map<std::string, std::string>& form, const std::string& tenant = "") const;
  // A token of the customer for `resource`.
  std::string Token(const std::string& resource = "https://vault.azure.net") const;

  // One request as it stands.
  AzureAnswer Send(const std::string& host, const std::string& method, const std::string& target,
                   const std::string& body, const std::map<std::string, std::string>& headers) const;
  // What the proxy answers to a CONNECT: 200 for names that are there, else 403.
  int Connect(const std::string& host) const;
  // To the vault or to the management host, with the customer's token.
  AzureAnswer Vault(const std::string& method, const std::string& path, const Json& body = nullptr) const;
  AzureAnswer Manage(const std::string& method, const std::string& path, const Json& body = nullptr) const;
  // The vault's resource id.
  std::string VaultId() const;
  // Gives the platform `permissions` on the vault's keys, and no others.
  AzureAnswer Grant(const Json& permissions) const;

 private:
  const TestCloud& cloud_;
  Json customer_, principal_;
};

}  // namespace keyhold::localcloud
