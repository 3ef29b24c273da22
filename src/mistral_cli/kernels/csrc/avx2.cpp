// AVX2, and AVX-VNNI where the compiler is told that it is there: 8 outputs in a vector.
#include "products.h"

#if defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>

#include "tile.h"

namespace {

struct Avx2 {
  static constexpr int kLanes = 8, kRows = 4, kVectors = 2, kDirectRows = 4, kDirectVectors = 2;
  using Sums = __m256i;
  using Floats = __m256;
  using Panel = __m256i;

#ifdef __AVXVNNI__
  static constexpr int kOffset = 128;
  using Weights = __m256i;
  static Weights load(__m256i levels) { return levels; }
  static __m256i levels_of(Weights weights) { return weights; }
  static Sums dot(Sums sums, Weights weights, int32_t word) {
    return _mm256_dpbusd_avx_epi32(sums, weights, _mm256_set1_epi32(word));
  }
#else
  static constexpr int kOffset = 0;
  struct Weights {
    __m256i magnitudes, levels;
  };
  static Weights load(__m256i levels) { return {_mm256_abs_epi8(levels), levels}; }
  static __m256i levels_of(Weights weights) { return weights.levels; }
  // The one byte product there is takes unsigned by signed and saturates at 16 bits: 2 * 127 * 127 still fits,
  // so magnitudes are multiplied and the sign goes to the activation.
  static Sums dot(Sums sums, Weights weights, int32_t word) {
    const __m256i pairs =
        _mm256_maddubs_epi16(weights.magnitudes, _mm256_sign_epi8(_mm256_set1_epi32(word), weights.levels));
    return _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
#endif

  struct Decoder {
    __m256i table;
    explicit Decoder(const int8_t *levels) {
      const __m128i raised = _mm_add_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i *>(levels)),
                                          _mm_set1_epi8(static_cast<char>(kOffset)));
      table = _mm256_broadcastsi128_si256(raised);
    }
    Weights level(__m256i codes) const {
      return load(_mm256_shuffle_epi8(table, _mm256_and_si256(codes, _mm256_set1_epi8(15))));
    }
    static __m256i nibbles(const uint8_t *bytes) {
      return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(bytes));
    }
    Weights low(const uint8_t *bytes) const { return level(nibbles(bytes)); }
    Weights high(const uint8_t *bytes) const { return level(_mm256_srli_epi16(nibbles(bytes), 4)); }
  };

  static void prefetch(const uint8_t *bytes) { _mm_prefetch(reinterpret_cast<const char *>(bytes), _MM_HINT_T0); }
  static void keep(Panel &panel, Weights weights) { panel = levels_of(weights); }
  static Sums sums(int32_t value) { return _mm256_set1_epi32(value); }
  static Floats floats(float value) { return _mm256_set1_ps(value); }
  static Floats read(const float *from) { return _mm256_load_ps(from); }
  static void write(float *to, Floats values) { _mm256_store_ps(to, values); }
  static Floats scales(const uint16_t *from) {
    const __m128i narrow = _mm_loadu_si128(reinterpret_cast<const __m128i *>(from));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(narrow), 16));
  }
  static Floats times(Floats scale, float step) { return _mm256_mul_ps(scale, _mm256_set1_ps(step)); }
  static Floats add(Floats total, Sums sums, Floats factor) {
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums), factor, total);
  }
};

#ifdef __AVXVNNI__
constexpr products::Variant kVariant = variant<Avx2>("avx-vnni");
#else
constexpr products::Variant kVariant = variant<Avx2>("avx2");
#endif
constexpr const products::Variant *kThis = &kVariant;

}  // namespace
#else
namespace {
constexpr const products::Variant *kThis = nullptr;
}
#endif

#ifdef PRODUCTS_AVXVNNI
namespace products {
const Variant *const kAvxVnni = kThis;
}
#else
namespace products {
const Variant *const kAvx2 = kThis;
}
#endif
