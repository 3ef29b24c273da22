// ARM with the dot-product instructions (ARMv8.2 on). Its results are checked under emulation; its speed never was.
#include "products.h"

#if defined(__ARM_NEON) && defined(__ARM_FEATURE_DOTPROD)
#include <arm_neon.h>

#include "tile.h"

namespace {

// What both precisions share.
struct Neon {
  static constexpr int kLanes = 4, kRows = 4, kVectors = 2, kDirectRows = 4, kDirectVectors = 4, kOffset = 0;
  using Sums = int32x4_t;
  using Floats = float32x4_t;

  static Sums plus(Sums a, Sums b) { return vaddq_s32(a, b); }
  static Sums sums(int32_t value) { return vdupq_n_s32(value); }
  static Floats floats(float value) { return vdupq_n_f32(value); }
  static Floats read(const float *from) { return vld1q_f32(from); }
  static void write(float *to, Floats values) { vst1q_f32(to, values); }
  static Floats scales(const uint16_t *from) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(from), 16)); }
  static void look_up(const Levels &levels, const uint8_t *codes, int64_t groups, uint16_t *found) {
    look_up_each<kLanes>(levels, codes, groups, found);
  }
  static Floats restored(Floats levels, Floats sizes, float offset) {
    return vaddq_f32(vmulq_f32(levels, sizes), vdupq_n_f32(offset));
  }
  static Floats times(Floats scale, float step) { return vmulq_n_f32(scale, step); }
  static Floats add(Floats total, Sums sums, Floats factor) { return vfmaq_f32(total, vcvtq_f32_s32(sums), factor); }
};

struct NeonCoarse : Neon {
  using Precision = Coarse;
  using Weights = int8x16_t;
  using Panel = int8x16_t;
  static Weights load(const Panel &panel) { return panel; }
  static void keep(Panel &panel, Weights weights) { panel = weights; }

  struct Decoder {
    int8x16_t table;
    explicit Decoder(const Levels &levels) : table(vld1q_s8(levels.coarse)) {}
    template <int part>
    Weights weights(const uint8_t *bytes) const {
      const uint8x16_t both = vld1q_u8(bytes);
      return vqtbl1q_s8(table, part ? vshrq_n_u8(both, 4) : vandq_u8(both, vdupq_n_u8(15)));
    }
  };

  static Sums dot(Sums sums, Weights weights, int32_t word) {
    return vdotq_s32(sums, weights, vreinterpretq_s8_s32(vdupq_n_s32(word)));
  }
};

struct NeonFine : Neon {
  using Precision = Fine;
  using Weights = int16x8_t;
  using Panel = int16x8_t;
  static Weights load(const Panel &panel) { return panel; }
  static void keep(Panel &panel, Weights weights) { panel = weights; }

  struct Decoder {
    uint8x16_t low, high;  // bytes of the levels
    explicit Decoder(const Levels &levels) {
      const uint8x16x2_t bytes = vld2q_u8(reinterpret_cast<const uint8_t *>(levels.fine));
      low = bytes.val[0], high = bytes.val[1];
    }
    template <int part>
    Weights weights(const uint8_t *bytes) const {
      const uint16x8_t words = vshlq_u16(vreinterpretq_u16_u8(vld1q_u8(bytes)), vdupq_n_s16(-4 * part));
      const uint16x8_t codes = vandq_u16(words, vdupq_n_u16(15));
      // a byte above 15 in the place of a code asks for zero
      const uint8x16_t below = vreinterpretq_u8_u16(vorrq_u16(codes, vdupq_n_u16(0xff00)));
      const uint8x16_t above = vreinterpretq_u8_u16(vorrq_u16(vshlq_n_u16(codes, 8), vdupq_n_u16(0x00ff)));
      return vreinterpretq_s16_u8(vorrq_u8(vqtbl1q_u8(low, below), vqtbl1q_u8(high, above)));
    }
  };

  static Sums dot(Sums sums, Weights weights, int32_t word) {
    const int16x8_t x = vreinterpretq_s16_s32(vdupq_n_s32(word));
    const int32x4_t first = vmull_s16(vget_low_s16(weights), vget_low_s16(x));
    return vaddq_s32(sums, vpaddq_s32(first, vmull_high_s16(weights, x)));
  }
};

constexpr products::Variant kVariant = variant<NeonCoarse, NeonFine>("neon-dotprod");

}  // namespace

namespace products {
const Variant *const kNeon = &kVariant;
}
#else
namespace products {
const Variant *const kNeon = nullptr;
}
#endif
