// Attention in AVX-512: 16 floats in a vector; where there is AVX512-BF16, 32 bfloat16 numbers.
#include "attention.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
#include <immintrin.h>

#include "attention_tile.h"

namespace {

struct Vectors {
  static constexpr int kLanes = 16, kRows = 6, kVectors = 4;
  static constexpr float kLeast = -200.0f;
  using Floats = __m512;
  using Words = __m512i;

  static void prefetch(const char *bytes) { _mm_prefetch(bytes, _MM_HINT_T1); }
  static Words zero() { return _mm512_setzero_si512(); }
  static Words words(const uint32_t *from) { return _mm512_load_si512(from); }
  static void keep(uint32_t *to, Words words) { _mm512_store_si512(to, words); }
  static Floats floats(float value) { return _mm512_set1_ps(value); }
  static Floats read(const float *from) { return _mm512_load_ps(from); }
  static void write(float *to, Floats values) { _mm512_store_ps(to, values); }
  static Floats plus(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  static Floats subtract(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
  static Floats times(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
  static Floats add(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
  static Floats greater(Floats a, Floats b) { return _mm512_max_ps(a, b); }
  static Floats nearest(Floats a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static Floats shift(Floats a, Floats whole) { return _mm512_scalef_ps(a, whole); }
  static Floats within(int64_t at, int64_t low, int64_t high, Floats a, Floats other) {
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __mmask16 held = _mm512_cmpge_epi32_mask(lanes, _mm512_set1_epi32(static_cast<int>(low - at))) &
                           _mm512_cmplt_epi32_mask(lanes, _mm512_set1_epi32(static_cast<int>(high - at)));
    return _mm512_mask_blend_ps(held, other, a);
  }
  static float first(Floats a) { return _mm512_cvtss_f32(a); }
  static float greatest(Floats a) { return _mm512_reduce_max_ps(a); }
  static float sum(Floats a) { return _mm512_reduce_add_ps(a); }

  static void transpose(Words (&rows)[16]) {
    Words half[16];
    each<8>([&](auto i) {
      half[2 * i] = _mm512_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
      half[2 * i + 1] = _mm512_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
    });
    each<4>([&](auto i) {
      rows[4 * i] = _mm512_unpacklo_epi64(half[4 * i], half[4 * i + 2]);
      rows[4 * i + 1] = _mm512_unpackhi_epi64(half[4 * i], half[4 * i + 2]);
      rows[4 * i + 2] = _mm512_unpacklo_epi64(half[4 * i + 1], half[4 * i + 3]);
      rows[4 * i + 3] = _mm512_unpackhi_epi64(half[4 * i + 1], half[4 * i + 3]);
    });
    each<4>([&](auto i) {
      half[i] = _mm512_shuffle_i32x4(rows[i], rows[4 + i], 0x88);
      half[4 + i] = _mm512_shuffle_i32x4(rows[i], rows[4 + i], 0xdd);
      half[8 + i] = _mm512_shuffle_i32x4(rows[8 + i], rows[12 + i], 0x88);
      half[12 + i] = _mm512_shuffle_i32x4(rows[8 + i], rows[12 + i], 0xdd);
    });
    each<8>([&](auto i) {
      rows[i] = _mm512_shuffle_i32x4(half[i], half[8 + i], 0x88);
      rows[8 + i] = _mm512_shuffle_i32x4(half[i], half[8 + i], 0xdd);
    });
  }
};

template <int64_t TYPE>
inline __m512 floats_of(const char *bytes) {
  if (TYPE == kFloat32) return _mm512_loadu_ps(bytes);
  if (TYPE == kInt8) return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)bytes)));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)bytes)), 16));
}

struct Singles : Vectors {
  static constexpr int kNumbers = 1;
  template <int64_t TYPE>
  static Words load(const char *from) {
    return _mm512_castps_si512(floats_of<TYPE>(from));
  }
  static Floats dot(Floats sums, Words words, uint32_t word) {
    return _mm512_fmadd_ps(_mm512_castsi512_ps(words), _mm512_castsi512_ps(_mm512_set1_epi32(word)), sums);
  }
  static Floats weigh(Floats weights, uint32_t *to) {
    keep(to, _mm512_castps_si512(weights));
    return weights;
  }
};

#ifdef __AVX512BF16__
struct Doubles : Vectors {
  static constexpr int kNumbers = 2;
  template <int64_t TYPE>
  static Words load(const char *from) {
    if (TYPE == kBFloat16) return _mm512_loadu_si512(from);
    return (Words)_mm512_cvtne2ps_pbh(floats_of<TYPE>(from + 16 * size_of(TYPE)), floats_of<TYPE>(from));
  }
  static void pairs(Words one, Words other, uint32_t *to) {
    alignas(64) static constexpr uint16_t kOrder[64] = {
        0,  32, 1,  33, 2,  34, 3,  35, 4,  36, 5,  37, 6,  38, 7,  39, 8,  40, 9,  41, 10, 42,
        11, 43, 12, 44, 13, 45, 14, 46, 15, 47, 16, 48, 17, 49, 18, 50, 19, 51, 20, 52, 21, 53,
        22, 54, 23, 55, 24, 56, 25, 57, 26, 58, 27, 59, 28, 60, 29, 61, 30, 62, 31, 63};
    keep(to, _mm512_permutex2var_epi16(one, _mm512_load_si512(kOrder), other));
    keep(to + 16, _mm512_permutex2var_epi16(one, _mm512_load_si512(kOrder + 32), other));
  }
  static Floats dot(Floats sums, Words words, uint32_t word) {
    return _mm512_dpbf16_ps(sums, (__m512bh)words, (__m512bh)_mm512_set1_epi32(word));
  }
  static Floats weigh(Floats one, Floats other, uint32_t *to) {
    const Words words = (Words)_mm512_cvtne2ps_pbh(other, one);
    keep(to, words);
    return plus(_mm512_castsi512_ps(_mm512_slli_epi32(words, 16)),
                _mm512_castsi512_ps(_mm512_and_si512(words, _mm512_set1_epi32(0xffff0000))));
  }
};

bool run(const Job &job, int64_t begin, int64_t end) {
  const bool narrow = job.cache_type != kFloat32;
  return narrow ? run_units<Doubles>(job, begin, end) : run_units<Singles>(job, begin, end);
}
constexpr Variant kVariant = {"avx512-bf16", run};
#else
constexpr Variant kVariant = {"avx512", run_units<Singles>};
#endif
constexpr const Variant *kThis = &kVariant;

}  // namespace
#else
namespace {
constexpr const attention::Variant *kThis = nullptr;
}
#endif

namespace attention {
#ifdef ATTENTION_BF16
const Variant *const kAvx512Bf16 = kThis;
#else
const Variant *const kAvx512 = kThis;
#endif
}  // namespace attention
