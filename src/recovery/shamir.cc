#include "recovery/shamir.h"

extern "C" {
#include <libgfshare.h>  // says nothing of C++
}

#include <cstdlib>
#include <memory>

namespace keyhold::recovery {
namespace {

// The library asks one function of the process for randomness, and left to itself has none: coefficients come
// from it, and what its contexts held is written over with it when they go.
thread_local crypto::Random* t_random = nullptr;

void FillForLibrary(unsigned char* out, unsigned int size) { t_random->FillSecret({out, size}); }

class LibraryRandom {
 public:
  explicit LibraryRandom(crypto::Random& random) {
    static const bool is_set = [] {
      gfshare_fill_rand = &FillForLibrary;
      return true;
    }();
    static_cast<void>(is_set);
    t_random = &random;
  }
  ~LibraryRandom() { t_random = nullptr; }
  LibraryRandom(const LibraryRandom&) = delete;
  LibraryRandom& operator=(const LibraryRandom&) = delete;
};

struct FreeContext {
  void operator()(gfshare_ctx* context) const { gfshare_ctx_free(context); }
};
using ContextPtr = std::unique_ptr<gfshare_ctx, FreeContext>;

ContextPtr Required(gfshare_ctx* context) {
  if (context == nullptr) std::abort();  // without memory
  return ContextPtr(context);
}

}  // namespace

std::vector<NumberedShare> Split(crypto::Bytes secret, int threshold, int count, crypto::Random& random) {
  std::vector<uint8_t> numbers;
  for (int number = 1; number <= count; ++number) numbers.push_back(static_cast<uint8_t>(number));
  const LibraryRandom in_use(random);
  const ContextPtr context =
      Required(gfshare_ctx_init_enc(numbers.data(), static_cast<unsigned>(count),
                                    static_cast<uint8_t>(threshold), static_cast<unsigned>(secret.size())));
  crypto::SecretBytes copy = crypto::SecretBytes::CopyOf(secret);
  gfshare_ctx_enc_setsecret(context.get(), copy.ExposeMutable().data());
  std::vector<NumberedShare> shares;
  for (const uint8_t number : numbers) {
    crypto::SecretBytes share(secret.size());
    gfshare_ctx_enc_getshare(context.get(), static_cast<uint8_t>(number - 1), share.ExposeMutable().data());
    shares.push_back({number, std::move(share)});
  }
  return shares;
}

crypto::SecretBytes Join(const std::vector<NumberedShare>& shares) {
  std::vector<uint8_t> numbers;
  numbers.reserve(shares.size());
  for (const NumberedShare& share : shares) numbers.push_back(share.number);
  const size_t size = shares.front().bytes.size();
  const LibraryRandom in_use(crypto::SystemRandom());
  const ContextPtr context = Required(gfshare_ctx_init_dec(
      numbers.data(), static_cast<unsigned>(numbers.size()), static_cast<unsigned>(size)));
  for (size_t i = 0; i < shares.size(); ++i) {
    crypto::SecretBytes copy = shares[i].bytes.Clone();
    gfshare_ctx_dec_giveshare(context.get(), static_cast<uint8_t>(i), copy.ExposeMutable().data());
  }
  crypto::SecretBytes secret(size);
  gfshare_ctx_dec_extract(context.get(), secret.ExposeMutable().data());
  return secret;
}

}  // namespace keyhold::recovery
