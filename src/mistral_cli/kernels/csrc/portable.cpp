// Plain C++ for any processor, and what the tests compare the other variants with.
#include <cmath>

#include "tile.h"

namespace {

template <class P>
struct Portable {
  using Precision = P;
  using Code = typename P::Code;
  static constexpr int kLanes = 16, kOffset = 0, kRows = 4, kVectors = 1, kDirectRows = 4, kDirectVectors = 1;
  static constexpr int kInLane = kGroup / P::kWords;  // weights
  struct Sums {
    int32_t lane[kLanes];
  };
  struct Floats {
    float lane[kLanes];
  };
  struct Weights {
    Code of[kInLane * kLanes];
  };
  using Panel = Weights;

  struct Decoder {
    const Code *levels;
    explicit Decoder(const Levels &table) : levels(table_of(table, Code())) {}
    static const int8_t *table_of(const Levels &table, int8_t) { return table.coarse; }
    static const int16_t *table_of(const Levels &table, int16_t) { return table.fine; }
    template <int part>
    Weights weights(const uint8_t *bytes) const {
      Weights decoded;
      for (int i = 0; i < kInLane * kLanes; i++) {
        const uint8_t byte = kInLane == 4 ? bytes[i] : bytes[2 * i + part / 2];
        decoded.of[i] = levels[part % 2 ? byte >> 4 : byte & 15];
      }
      return decoded;
    }
  };

  static const Weights &load(const Panel &panel) { return panel; }
  static void keep(Panel &panel, const Weights &weights) { panel = weights; }
  static Sums plus(Sums a, const Sums &b) {
    for (int i = 0; i < kLanes; i++) a.lane[i] += b.lane[i];
    return a;
  }
  static Sums sums(int32_t value) {
    Sums sums;
    for (int32_t &lane : sums.lane) lane = value;
    return sums;
  }
  static Sums dot(Sums sums, const Weights &weights, int32_t word) {
    Code x[kInLane];
    std::memcpy(x, &word, 4);
    for (int i = 0; i < kLanes; i++)
      for (int j = 0; j < kInLane; j++) sums.lane[i] += weights.of[kInLane * i + j] * x[j];
    return sums;
  }
  static Floats floats(float value) {
    Floats floats;
    for (float &lane : floats.lane) lane = value;
    return floats;
  }
  static Floats read(const float *from) {
    Floats floats;
    std::memcpy(floats.lane, from, sizeof(floats.lane));
    return floats;
  }
  static void write(float *to, const Floats &values) { std::memcpy(to, values.lane, sizeof(values.lane)); }
  static Floats scales(const uint16_t *from) {
    Floats scales;
    for (int i = 0; i < kLanes; i++) scales.lane[i] = widen(from[i]);
    return scales;
  }
  static void look_up(const Levels &levels, const uint8_t *codes, int64_t groups, uint16_t *found) {
    look_up_each<kLanes>(levels, codes, groups, found);
  }
  static Floats restored(Floats levels, const Floats &sizes, float offset) {
    for (int i = 0; i < kLanes; i++) levels.lane[i] = levels.lane[i] * sizes.lane[i] + offset;
    return levels;
  }
  static Floats times(Floats scale, float step) {
    for (float &lane : scale.lane) lane *= step;
    return scale;
  }
  static Floats add(Floats total, const Sums &sums, const Floats &factor) {
    for (int i = 0; i < kLanes; i++)
      total.lane[i] = std::fma(static_cast<float>(sums.lane[i]), factor.lane[i], total.lane[i]);
    return total;
  }
};

constexpr products::Variant kVariant = variant<Portable<Coarse>, Portable<Fine>>("portable");

}  // namespace

namespace products {
const Variant *const kPortable = &kVariant;
}
