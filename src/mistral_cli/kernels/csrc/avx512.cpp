// AVX-512 with VNNI: 16 outputs in a vector; a byte shuffle turns nibbles into levels.
#include "products.h"

#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
#include <immintrin.h>

#include "tile.h"

namespace {

struct Avx512 {
  static constexpr int kLanes = 16, kOffset = 128, kRows = 6, kVectors = 2, kDirectRows = 12, kDirectVectors = 1;
  using Sums = __v16si;  // by its own type: GCC copies and spills registers that change their type on the way
  using Floats = __m512;
  using Weights = __v16si;
  using Panel = __v16si;

  struct Decoder {
    __m512i table;
    explicit Decoder(const int8_t *levels) {
      const __m128i raised =
          _mm_xor_si128(_mm_loadu_si128(reinterpret_cast<const __m128i *>(levels)), _mm_set1_epi8(-128));
      table = _mm512_broadcast_i32x4(raised);
    }
    Weights level(__m512i codes) const {
      return (Weights)_mm512_shuffle_epi8(table, _mm512_and_si512(codes, _mm512_set1_epi8(15)));
    }
    Weights low(const uint8_t *bytes) const { return level(_mm512_loadu_si512(bytes)); }
    Weights high(const uint8_t *bytes) const { return level(_mm512_srli_epi16(_mm512_loadu_si512(bytes), 4)); }
  };

  static void prefetch(const uint8_t *bytes) { _mm_prefetch(reinterpret_cast<const char *>(bytes), _MM_HINT_T0); }
  static Weights load(const Panel &panel) { return panel; }
  static void keep(Panel &panel, Weights weights) { panel = weights; }
  static Sums sums(int32_t value) { return (Sums)_mm512_set1_epi32(value); }
  static Sums dot(Sums sums, Weights weights, int32_t word) {
    return (Sums)_mm512_dpbusd_epi32((__m512i)sums, (__m512i)weights, _mm512_set1_epi32(word));
  }
  static Floats floats(float value) { return _mm512_set1_ps(value); }
  static Floats read(const float *from) { return _mm512_load_ps(from); }
  static void write(float *to, Floats values) { _mm512_store_ps(to, values); }
  static Floats scales(const uint16_t *from) {
    const __m256i narrow = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow), 16));
  }
  static Floats times(Floats scale, float step) { return _mm512_mul_ps(scale, _mm512_set1_ps(step)); }
  static Floats add(Floats total, Sums sums, Floats factor) {
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps((__m512i)sums), factor, total);
  }
};

constexpr products::Variant kVariant = variant<Avx512>("avx512-vnni");

}  // namespace

namespace products {
const Variant *const kAvx512 = &kVariant;
}
#else
namespace products {
const Variant *const kAvx512 = nullptr;
}
#endif
