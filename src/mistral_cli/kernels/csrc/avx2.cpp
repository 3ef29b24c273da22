// AVX2, and AVX-VNNI where the compiler is told that it is there: 8 outputs in a vector.
#include "products.h"

#if defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>

#include "tile.h"

namespace {

// What both precisions share.
struct Avx2 {
  static constexpr int kLanes = 8, kRows = 4, kVectors = 2, kDirectRows = 4, kDirectVectors = 2;
  using Sums = __m256i;
  using Floats = __m256;
  using Panel = __m256i;

  static __m256i nibbles(const uint8_t *bytes, int part) {
    return _mm256_srli_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(bytes)), 4 * part);
  }
  static __m256i twice(const void *from) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(static_cast<const __m128i *>(from)));
  }
  static Sums plus(Sums a, Sums b) { return _mm256_add_epi32(a, b); }
  static Sums sums(int32_t value) { return _mm256_set1_epi32(value); }
  static Floats floats(float value) { return _mm256_set1_ps(value); }
  static Floats read(const float *from) { return _mm256_load_ps(from); }
  static void write(float *to, Floats values) { _mm256_store_ps(to, values); }
  static Floats scales(const uint16_t *from) {
    const __m128i narrow = _mm_loadu_si128(reinterpret_cast<const __m128i *>(from));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(narrow), 16));
  }
  static void look_up(const Levels &levels, const uint8_t *codes, int64_t groups, uint16_t *found) {
    look_up_each<kLanes>(levels, codes, groups, found);
  }
  static Floats restored(Floats levels, Floats sizes, float offset) {
    return _mm256_add_ps(_mm256_mul_ps(levels, sizes), _mm256_set1_ps(offset));
  }
  static Floats times(Floats scale, float step) { return _mm256_mul_ps(scale, _mm256_set1_ps(step)); }
  static Floats add(Floats total, Sums sums, Floats factor) {
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums), factor, total);
  }
};

struct Avx2Coarse : Avx2 {
  using Precision = Coarse;
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
  static void keep(Panel &panel, Weights weights) { panel = levels_of(weights); }

  struct Decoder {
    __m256i table;
    explicit Decoder(const Levels &levels)
        : table(_mm256_add_epi8(twice(levels.coarse), _mm256_set1_epi8(static_cast<char>(kOffset)))) {}
    template <int part>
    Weights weights(const uint8_t *bytes) const {
      return load(_mm256_shuffle_epi8(table, _mm256_and_si256(nibbles(bytes, part), _mm256_set1_epi8(15))));
    }
  };
};

struct Avx2Fine : Avx2 {
  using Precision = Fine;
  static constexpr int kOffset = 0;
  using Weights = __m256i;
  static Weights load(Panel panel) { return panel; }
  static void keep(Panel &panel, Weights weights) { panel = weights; }
  static Sums dot(Sums sums, Weights weights, int32_t word) {
#ifdef __AVXVNNI__
    return _mm256_dpwssd_avx_epi32(sums, weights, _mm256_set1_epi32(word));
#else
    return _mm256_add_epi32(sums, _mm256_madd_epi16(weights, _mm256_set1_epi32(word)));
#endif
  }

  struct Decoder {
    __m256i low, high;  // bytes of the levels
    explicit Decoder(const Levels &levels) {
      int8_t bytes[2][16];
      for (int code = 0; code < 16; code++)
        bytes[0][code] = static_cast<int8_t>(levels.fine[code]), bytes[1][code] = levels.fine[code] >> 8;
      low = twice(bytes[0]), high = twice(bytes[1]);
    }
    template <int part>
    Weights weights(const uint8_t *bytes) const {
      const __m256i codes = _mm256_and_si256(nibbles(bytes, part), _mm256_set1_epi16(15));
      // a byte above 127 in the place of a code asks for zero
      const __m256i below = _mm256_or_si256(codes, _mm256_set1_epi16(static_cast<short>(0x8000)));
      const __m256i above = _mm256_or_si256(_mm256_slli_epi16(codes, 8), _mm256_set1_epi16(0x80));
      return _mm256_or_si256(_mm256_shuffle_epi8(low, below), _mm256_shuffle_epi8(high, above));
    }
  };
};

#ifdef __AVXVNNI__
constexpr products::Variant kVariant = variant<Avx2Coarse, Avx2Fine>("avx-vnni");
#else
constexpr products::Variant kVariant = variant<Avx2Coarse, Avx2Fine>("avx2");
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
