// Attention in plain C++ for any processor, in vectors that compilers know how to make of four floats.
#include "attention_tile.h"

namespace {

struct Portable {
  static constexpr int kLanes = 4, kNumbers = 1, kRows = 4, kVectors = 2;
  static constexpr float kLeast = -127.0f;  // its exponent is that of zero
  struct Floats {
    float lane[kLanes];
  };
  struct Words {
    uint32_t lane[kLanes];
  };

  template <class Body>
  static Floats made(Body body) {
    Floats result;
    for (int i = 0; i < kLanes; i++) result.lane[i] = body(i);
    return result;
  }

  static void prefetch(const char *) {}
  static Words zero() { return {}; }
  static Words words(const uint32_t *from) {
    Words words;
    std::memcpy(words.lane, from, sizeof(words.lane));
    return words;
  }
  static void keep(uint32_t *to, const Words &words) { std::memcpy(to, words.lane, sizeof(words.lane)); }
  static Floats floats(float value) {
    return made([&](int) { return value; });
  }
  static Floats read(const float *from) {
    return made([&](int i) { return from[i]; });
  }
  static void write(float *to, const Floats &values) { std::memcpy(to, values.lane, sizeof(values.lane)); }
  static Floats plus(const Floats &a, const Floats &b) {
    return made([&](int i) { return a.lane[i] + b.lane[i]; });
  }
  static Floats subtract(const Floats &a, const Floats &b) {
    return made([&](int i) { return a.lane[i] - b.lane[i]; });
  }
  static Floats times(const Floats &a, const Floats &b) {
    return made([&](int i) { return a.lane[i] * b.lane[i]; });
  }
  static Floats add(const Floats &a, const Floats &b, const Floats &c) {
    return made([&](int i) { return a.lane[i] * b.lane[i] + c.lane[i]; });
  }
  static Floats greater(const Floats &a, const Floats &b) {
    return made([&](int i) { return a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]; });
  }
  static Floats nearest(const Floats &a) {  // adding 1.5 * 2^23 leaves no place for a fraction
    return made([&](int i) { return (a.lane[i] + 12582912.0f) - 12582912.0f; });
  }
  static Floats shift(const Floats &a, const Floats &whole) {
    return made([&](int i) {
      const uint32_t exponent = bits_of(whole.lane[i] + 12582912.0f) - 0x4b400000u + 127u;
      return a.lane[i] * float_of(exponent << 23);
    });
  }
  static Floats within(int64_t at, int64_t low, int64_t high, const Floats &a, const Floats &other) {
    return made([&](int i) { return at + i >= low && at + i < high ? a.lane[i] : other.lane[i]; });
  }
  static float first(const Floats &a) { return a.lane[0]; }
  static float greatest(const Floats &a) {
    float top = a.lane[0];
    for (float value : a.lane) top = value > top ? value : top;
    return top;
  }
  static float sum(const Floats &a) { return (a.lane[0] + a.lane[1]) + (a.lane[2] + a.lane[3]); }
  template <int64_t TYPE>
  static Words load(const char *from) {
    Words words;
    for (int i = 0; i < kLanes; i++) {
      uint16_t narrow;
      float value;
      if (TYPE == kFloat32)
        std::memcpy(&value, from + 4 * i, 4);
      else if (TYPE == kBFloat16)
        std::memcpy(&narrow, from + 2 * i, 2), value = widen(narrow);
      else
        value = static_cast<float>(reinterpret_cast<const int8_t *>(from)[i]);
      words.lane[i] = bits_of(value);
    }
    return words;
  }
  static Floats dot(const Floats &sums, const Words &words, uint32_t word) {
    const float value = float_of(word);
    return made([&](int i) { return sums.lane[i] + float_of(words.lane[i]) * value; });
  }
  static Floats weigh(const Floats &weights, uint32_t *to) {
    write(reinterpret_cast<float *>(to), weights);
    return weights;
  }
  static void transpose(Words (&rows)[kLanes]) {
    for (int i = 0; i < kLanes; i++)
      for (int j = i + 1; j < kLanes; j++) std::swap(rows[i].lane[j], rows[j].lane[i]);
  }
};

constexpr Variant kVariant = {"portable", run_units<Portable>};

}  // namespace

namespace attention {
const Variant *const kPortable = &kVariant;
}
