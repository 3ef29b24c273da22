// Plain C++ for any processor, and what the tests compare the other variants with.
#include <cmath>

#include "tile.h"

namespace {

struct Portable {
  static constexpr int kLanes = 16, kOffset = 0, kRows = 4, kVectors = 1, kDirectRows = 4, kDirectVectors = 1;
  struct Sums {
    int32_t lane[kLanes];
  };
  struct Floats {
    float lane[kLanes];
  };
  struct Weights {
    int8_t byte[4 * kLanes];
  };
  using Panel = Weights;

  struct Decoder {
    const int8_t *levels;
    explicit Decoder(const int8_t *table) : levels(table) {}
    Weights low(const uint8_t *bytes) const {
      Weights weights;
      for (int i = 0; i < 4 * kLanes; i++) weights.byte[i] = levels[bytes[i] & 15];
      return weights;
    }
    Weights high(const uint8_t *bytes) const {
      Weights weights;
      for (int i = 0; i < 4 * kLanes; i++) weights.byte[i] = levels[bytes[i] >> 4];
      return weights;
    }
  };

  static void prefetch(const uint8_t *) {}
  static const Weights &load(const Panel &panel) { return panel; }
  static void keep(Panel &panel, const Weights &weights) { panel = weights; }
  static Sums sums(int32_t value) {
    Sums sums;
    for (int32_t &lane : sums.lane) lane = value;
    return sums;
  }
  static Sums dot(Sums sums, const Weights &weights, int32_t word) {
    int8_t x[4];
    std::memcpy(x, &word, 4);
    for (int i = 0; i < kLanes; i++)
      for (int j = 0; j < 4; j++) sums.lane[i] += weights.byte[4 * i + j] * x[j];
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

constexpr products::Variant kVariant = variant<Portable>("portable");

}  // namespace

namespace products {
const Variant *const kPortable = &kVariant;
}
