// Azure's errors on the one status type: an Azure error is a Status that also carries its HTTP status and
// codes. Services return these; the front end (front.h) writes them in the form of the service, where a
// status without them is an internal failure.
//
// https://learn.microsoft.com/azure/key-vault/general/rest-error-codes; messages as the services word them,
// so that programs which look at them find what they look for.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace keyhold::localcloud::azure {

struct ErrorParts {
  int http_status = 500;
  std::string code = "InternalServerError";
  std::string inner;  // of innererror, or Entra's AADSTS number
};

Status AzureError(int http_status, std::string_view code, std::string_view message,
                  std::string_view inner = "");

// Of an error made by AzureError(); the defaults for others.
ErrorParts PartsOf(const Status& status);

// 404 of a vault: KeyNotFound.
Status KeyNotFound(std::string_view name);

// 400 of a vault: BadParameter.
Status BadParameter(std::string_view message);

// 501, for what this local cloud does not have.
Status NotBuilt(std::string_view what);

}  // namespace keyhold::localcloud::azure
