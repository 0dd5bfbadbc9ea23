// A store of its own (not a node's), opened with its CMEK key: what `keyhold mount` and `keyhold store`
// share.
#pragma once

#include <memory>
#include <string>

#include "keyring/keyring.h"
#include "kms/credentials.h"
#include "kms/provider.h"
#include "store/context.h"

namespace keyhold::app {

enum class Missing { kMake, kRefuse };  // what to do where there is no store yet

// `text` is a key spec, or @FILE with one.
StatusOr<kms::KeySpec> KeySpecFrom(const std::string& text);

// Makes KMS clients for the stores of `cluster`, with the credentials that `environment` names.
StatusOr<std::unique_ptr<kms::KmsProvider>> ProviderFor(const kms::Environment& environment,
                                                        const std::string& cluster);

// kFailedPrecondition unless `given` is the key `found` in the key ring of `store`, which the message names
// so.
Status CheckSameKey(const std::string& store, const kms::KeySpec& found, const kms::KeySpec& given);

class StoreSession {
 public:
  // Opens the key ring of the store in `dir` with `key_spec` (a key spec, or @FILE with one), or makes it in
  // an empty or missing directory. kFailedPrecondition: the store is under another key, or `dir` is neither a
  // store nor empty; kNotFound: no store, with Missing::kRefuse; kKms*: the key cannot be used.
  static StatusOr<std::unique_ptr<StoreSession>> Open(const std::string& dir, const std::string& key_spec,
                                                      const kms::Environment& environment, Missing missing);
  ~StoreSession();
  StoreSession(const StoreSession&) = delete;
  StoreSession& operator=(const StoreSession&) = delete;

  int dir() const { return dir_; }  // an open descriptor
  keyring::KeyRing& ring() { return *ring_; }
  store::Context context();  // valid as long as this session

  // Writes into the key ring how much was sealed: for whoever is done with the store and still has its lock.
  // Without it, as after a crash, the reserve counts as used. A failure is logged.
  void Settle();

 private:
  StoreSession();

  std::unique_ptr<kms::KmsProvider> provider_;
  std::unique_ptr<kms::Kms> kms_;
  std::unique_ptr<keyring::KeyRing> ring_;
  store::WriteCounter counter_;
  int dir_ = -1;
};

}  // namespace keyhold::app
