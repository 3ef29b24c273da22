// ARM with the dot-product instructions (ARMv8.2 on). Its results are checked under emulation; its speed never was.
#include "products.h"

#if defined(__ARM_NEON) && defined(__ARM_FEATURE_DOTPROD)
#include <arm_neon.h>

#include "tile.h"

namespace {

struct Neon {
  static constexpr int kLanes = 4, kOffset = 0, kRows = 4, kVectors = 2, kDirectRows = 4, kDirectVectors = 4;
  using Sums = int32x4_t;
  using Floats = float32x4_t;
  using Weights = int8x16_t;
  using Panel = int8x16_t;

  struct Decoder {
    int8x16_t table;
    explicit Decoder(const int8_t *levels) : table(vld1q_s8(levels)) {}
    Weights low(const uint8_t *bytes) const { return vqtbl1q_s8(table, vandq_u8(vld1q_u8(bytes), vdupq_n_u8(15))); }
    Weights high(const uint8_t *bytes) const { return vqtbl1q_s8(table, vshrq_n_u8(vld1q_u8(bytes), 4)); }
  };

  static void prefetch(const uint8_t *bytes) { __builtin_prefetch(bytes); }
  static Weights load(const Panel &panel) { return panel; }
  static void keep(Panel &panel, Weights weights) { panel = weights; }
  static Sums sums(int32_t value) { return vdupq_n_s32(value); }
  static Sums dot(Sums sums, Weights weights, int32_t word) {
    return vdotq_s32(sums, weights, vreinterpretq_s8_s32(vdupq_n_s32(word)));
  }
  static Floats floats(float value) { return vdupq_n_f32(value); }
  static Floats read(const float *from) { return vld1q_f32(from); }
  static void write(float *to, Floats values) { vst1q_f32(to, values); }
  static Floats scales(const uint16_t *from) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(from), 16)); }
  static Floats times(Floats scale, float step) { return vmulq_n_f32(scale, step); }
  static Floats add(Floats total, Sums sums, Floats factor) { return vfmaq_f32(total, vcvtq_f32_s32(sums), factor); }
};

constexpr products::Variant kVariant = variant<Neon>("neon-dotprod");

}  // namespace

namespace products {
const Variant *const kNeon = &kVariant;
}
#else
namespace products {
const Variant *const kNeon = nullptr;
}
#endif
