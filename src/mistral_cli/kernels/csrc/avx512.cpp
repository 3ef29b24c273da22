// AVX-512 with VNNI, and VBMI where the compiler is told that it is there: 16 outputs in a vector; a shuffle turns
// nibbles into levels.
#include "products.h"

#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
#include <immintrin.h>

#include "tile.h"

namespace {

// What both precisions share.
struct Avx512 {
  static constexpr int kLanes = 16, kRows = 6, kVectors = 2, kDirectRows = 12, kDirectVectors = 1;
  using Sums = __v16si;  // by its own type: GCC copies and spills registers that change their type on the way
  using Floats = __m512;
  using Weights = __v16si;
  using Panel = __v16si;

  static Weights load(const Panel &panel) { return panel; }
  static void keep(Panel &panel, Weights weights) { panel = weights; }
  static Sums plus(Sums a, Sums b) { return a + b; }
  static Sums sums(int32_t value) { return (Sums)_mm512_set1_epi32(value); }
  static Floats floats(float value) { return _mm512_set1_ps(value); }
  static Floats read(const float *from) { return _mm512_load_ps(from); }
  static void write(float *to, Floats values) { _mm512_store_ps(to, values); }
  static Floats scales(const uint16_t *from) {
    const __m256i narrow = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow), 16));
  }
#ifdef __AVX512VBMI__
  // 64 codes at once, first to lower bytes, then to upper ones.
  static void look_up(const Levels &levels, const uint8_t *codes, int64_t groups, uint16_t *found) {
    const __m512i order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
    const __m512i at = _mm512_permutexvar_epi64(order, _mm512_maskz_loadu_epi8(~0ull >> 16 * (kLooked - groups), codes));
    const __m512i lower = plane(levels.scales[0], at), upper = plane(levels.scales[1], at);
    _mm512_store_si512(found, _mm512_unpacklo_epi8(lower, upper));
    _mm512_store_si512(found + 32, _mm512_unpackhi_epi8(lower, upper));
  }
  static __m512i plane(const uint8_t *bytes, __m512i at) {
    const __m512i low = _mm512_permutex2var_epi8(_mm512_loadu_si512(bytes), at, _mm512_loadu_si512(bytes + 64));
    const __m512i high = _mm512_permutex2var_epi8(_mm512_loadu_si512(bytes + 128), at, _mm512_loadu_si512(bytes + 192));
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(at), low, high);
  }
#else
  static void look_up(const Levels &levels, const uint8_t *codes, int64_t groups, uint16_t *found) {
    look_up_each<kLanes>(levels, codes, groups, found);
  }
#endif
  static Floats restored(Floats levels, Floats sizes, float offset) {
    return _mm512_add_ps(_mm512_mul_ps(levels, sizes), _mm512_set1_ps(offset));
  }
  static Floats times(Floats scale, float step) { return _mm512_mul_ps(scale, _mm512_set1_ps(step)); }
  static Floats add(Floats total, Sums sums, Floats factor) {
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps((__m512i)sums), factor, total);
  }
};

struct Avx512Coarse : Avx512 {
  using Precision = Coarse;
  static constexpr int kOffset = 128;

  struct Decoder {
    __m512i table;
    explicit Decoder(const Levels &levels) {
      const __m128i raised =
          _mm_xor_si128(_mm_loadu_si128(reinterpret_cast<const __m128i *>(levels.coarse)), _mm_set1_epi8(-128));
      table = _mm512_broadcast_i32x4(raised);
    }
    template <int part>
    Weights weights(const uint8_t *bytes) const {
      const __m512i codes = _mm512_srli_epi16(_mm512_loadu_si512(bytes), 4 * part);
#ifdef __AVX512VBMI__
      return (Weights)_mm512_permutexvar_epi8(codes, table);  // 64 bytes: four times the same, what else is in a byte
#else                                                         // does not matter
      return (Weights)_mm512_shuffle_epi8(table, _mm512_and_si512(codes, _mm512_set1_epi8(15)));
#endif
    }
  };

  static Sums dot(Sums sums, Weights weights, int32_t word) {
    return (Sums)_mm512_dpbusd_epi32((__m512i)sums, (__m512i)weights, _mm512_set1_epi32(word));
  }
};

struct Avx512Fine : Avx512 {
  using Precision = Fine;
  static constexpr int kOffset = 0;

  struct Decoder {
    __m512i table;  // 32 words: twice the same
    explicit Decoder(const Levels &levels)
        : table(_mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(levels.fine)))) {}
    template <int part>
    Weights weights(const uint8_t *bytes) const {
      return (Weights)_mm512_permutexvar_epi16(_mm512_srli_epi16(_mm512_loadu_si512(bytes), 4 * part), table);
    }
  };

  static Sums dot(Sums sums, Weights weights, int32_t word) {
    return (Sums)_mm512_dpwssd_epi32((__m512i)sums, (__m512i)weights, _mm512_set1_epi32(word));
  }
};

#ifdef __AVX512VBMI__
constexpr products::Variant kVariant = variant<Avx512Coarse, Avx512Fine>("avx512-vbmi");
#else
constexpr products::Variant kVariant = variant<Avx512Coarse, Avx512Fine>("avx512-vnni");
#endif
constexpr const products::Variant *kThis = &kVariant;

}  // namespace
#else
namespace {
constexpr const products::Variant *kThis = nullptr;
}
#endif

#ifdef PRODUCTS_AVX512VBMI
namespace products {
const Variant *const kAvx512Vbmi = kThis;
}
#else
namespace products {
const Variant *const kAvx512 = kThis;
}
#endif
