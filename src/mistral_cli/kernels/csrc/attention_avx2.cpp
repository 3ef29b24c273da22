// Attention in AVX2: 8 floats in a vector.
#include "attention.h"

#if defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>

#include "attention_tile.h"

namespace {

struct Avx2 {
  static constexpr int kLanes = 8, kNumbers = 1, kRows = 6, kVectors = 2;
  static constexpr float kLeast = -127.0f;  // its exponent is that of zero
  using Floats = __m256;
  using Words = __m256i;

  static void prefetch(const char *bytes) { _mm_prefetch(bytes, _MM_HINT_T1); }
  static Words zero() { return _mm256_setzero_si256(); }
  static Words words(const uint32_t *from) { return _mm256_load_si256((const __m256i *)from); }
  static void keep(uint32_t *to, Words words) { _mm256_store_si256((__m256i *)to, words); }
  static Floats floats(float value) { return _mm256_set1_ps(value); }
  static Floats read(const float *from) { return _mm256_load_ps(from); }
  static void write(float *to, Floats values) { _mm256_store_ps(to, values); }
  static Floats plus(Floats a, Floats b) { return _mm256_add_ps(a, b); }
  static Floats subtract(Floats a, Floats b) { return _mm256_sub_ps(a, b); }
  static Floats times(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
  static Floats add(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
  static Floats greater(Floats a, Floats b) { return _mm256_max_ps(a, b); }
  static Floats nearest(Floats a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static Floats shift(Floats a, Floats whole) {
    const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(whole), _mm256_set1_epi32(127));
    return _mm256_mul_ps(a, _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23)));
  }
  static Floats within(int64_t at, int64_t low, int64_t high, Floats a, Floats other) {
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i below = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(low - at)), lanes);
    const __m256i held = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(high - at)), lanes);
    return _mm256_blendv_ps(other, a, _mm256_castsi256_ps(_mm256_andnot_si256(below, held)));
  }
  static float first(Floats a) { return _mm256_cvtss_f32(a); }
  static float greatest(Floats a) {
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
  }
  static float sum(Floats a) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
  }
  template <int64_t TYPE>
  static Words load(const char *from) {
    if (TYPE == kFloat32) return _mm256_loadu_si256((const __m256i *)from);
    if (TYPE == kInt8)
      return _mm256_castps_si256(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)from))));
    return _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)from)), 16);
  }
  static Floats dot(Floats sums, Words words, uint32_t word) {
    return _mm256_fmadd_ps(_mm256_castsi256_ps(words), _mm256_castsi256_ps(_mm256_set1_epi32(word)), sums);
  }
  static Floats weigh(Floats weights, uint32_t *to) {
    keep(to, _mm256_castps_si256(weights));
    return weights;
  }
  static void transpose(Words (&rows)[8]) {
    Words half[8];
    each<4>([&](auto i) {
      half[2 * i] = _mm256_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
      half[2 * i + 1] = _mm256_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
    });
    each<2>([&](auto i) {
      rows[4 * i] = _mm256_unpacklo_epi64(half[4 * i], half[4 * i + 2]);
      rows[4 * i + 1] = _mm256_unpackhi_epi64(half[4 * i], half[4 * i + 2]);
      rows[4 * i + 2] = _mm256_unpacklo_epi64(half[4 * i + 1], half[4 * i + 3]);
      rows[4 * i + 3] = _mm256_unpackhi_epi64(half[4 * i + 1], half[4 * i + 3]);
    });
    each<4>([&](auto i) {
      half[i] = _mm256_permute2x128_si256(rows[i], rows[4 + i], 0x20);
      half[4 + i] = _mm256_permute2x128_si256(rows[i], rows[4 + i], 0x31);
    });
    each<8>([&](auto i) { rows[i] = half[i]; });
  }
};

constexpr Variant kVariant = {"avx2", run_units<Avx2>};

}  // namespace

namespace attention {
const Variant *const kAvx2 = &kVariant;
}
#else
namespace attention {
const Variant *const kAvx2 = nullptr;
}
#endif
