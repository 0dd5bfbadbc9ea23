// What a sector of a store costs over OpenSSL's AES-256-GCM alone, on one core, in bytes of plaintext per
// second.
#include <benchmark/benchmark.h>
#include <openssl/evp.h>

#include <array>
#include <cstdlib>

#include "crypto/random.h"
#include "crypto/secret.h"
#include "store/sector.h"

namespace {

using namespace keyhold;
using Sector = std::array<uint8_t, store::kSectorSize>;
using Payload = std::array<uint8_t, store::kPayloadSize>;

constexpr size_t kSectors = 256;  // one transfer of the mount
constexpr int kAssociatedSize = 41;

struct Buffers {
  std::vector<Sector> sectors = std::vector<Sector>(kSectors);
  std::vector<Payload> payloads = std::vector<Payload>(kSectors);
  std::array<uint8_t, 32> key{};
  Buffers() {
    crypto::SystemRandom().Fill(key);
    for (Payload& payload : payloads) crypto::SystemRandom().Fill(payload);
  }
};

void Count(benchmark::State& state) {
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(kSectors * store::kPayloadSize));
}

store::SectorHeader HeaderOf(const crypto::GcmNonce& nonce) {
  store::SectorHeader header;
  header.key = 1;
  header.length = store::kPayloadSize;
  header.nonce = nonce;
  return header;
}

// As the store does it: one call for the nonces of a transfer.
void SealAll(const crypto::Aes256Gcm& cipher, Buffers& buffers) {
  std::array<crypto::GcmNonce, kSectors> nonces;
  crypto::SystemRandom().Fill({nonces.front().data(), sizeof nonces});
  for (size_t i = 0; i < kSectors; ++i) {
    store::SealSector(cipher, {store::FileId{}, i, store::SectorKind::kData}, HeaderOf(nonces[i]),
                      buffers.payloads[i].data(), buffers.sectors[i].data());
  }
}

void StoreSeal(benchmark::State& state) {
  Buffers buffers;
  const crypto::Aes256Gcm cipher(buffers.key);
  for (auto _ : state) {
    SealAll(cipher, buffers);
    benchmark::ClobberMemory();
  }
  Count(state);
}

void StoreOpen(benchmark::State& state) {
  Buffers buffers;
  const crypto::Aes256Gcm cipher(buffers.key);
  SealAll(cipher, buffers);
  for (auto _ : state) {
    for (size_t i = 0; i < kSectors; ++i) {
      store::SectorHeader header;
      const uint8_t* sector = buffers.sectors[i].data();
      const bool opened = !store::IsHole(sector) && store::ParseHeader(sector, &header) &&
                          store::OpenSector(cipher, {store::FileId{}, i, store::SectorKind::kData}, header,
                                            sector, buffers.payloads[i].data());
      if (!opened) std::abort();
    }
    benchmark::ClobberMemory();
  }
  Count(state);
}

// The least that OpenSSL can be asked for: a context with its key set once, a nonce and associated data per
// message.
void RawOpenSsl(benchmark::State& state, int encrypt) {
  Buffers buffers;
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  EVP_CipherInit_ex(context, EVP_aes_256_gcm(), nullptr, buffers.key.data(), nullptr, encrypt);
  std::array<uint8_t, 12> nonce{};
  std::array<uint8_t, kAssociatedSize> associated{};
  std::array<uint8_t, 16> tag{};
  int size = 0;
  for (auto _ : state) {
    for (size_t i = 0; i < kSectors; ++i) {
      ++nonce[0];
      EVP_CipherInit_ex(context, nullptr, nullptr, nullptr, nonce.data(), encrypt);
      EVP_CipherUpdate(context, nullptr, &size, associated.data(), kAssociatedSize);
      EVP_CipherUpdate(context, buffers.sectors[i].data(), &size, buffers.payloads[i].data(),
                       store::kPayloadSize);
      if (encrypt == 0) EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, 16, tag.data());
      EVP_CipherFinal_ex(context, buffers.sectors[i].data(), &size);
      if (encrypt == 1) EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, 16, tag.data());
    }
    benchmark::ClobberMemory();
  }
  EVP_CIPHER_CTX_free(context);
  Count(state);
}

BENCHMARK(StoreSeal);
BENCHMARK_CAPTURE(RawOpenSsl, Seal, 1);
BENCHMARK(StoreOpen);
BENCHMARK_CAPTURE(RawOpenSsl, Open, 0);

}  // namespace

int main(int argc, char** argv) {
  if (!keyhold::crypto::InitSecretMemory().ok()) return 2;
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
