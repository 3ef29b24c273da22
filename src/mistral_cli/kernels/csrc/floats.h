// bfloat16 in and out of float. Everything has internal linkage: each variant compiles its own copy.
#pragma once
#include <cstdint>
#include <cstring>

namespace {

inline uint32_t bits_of(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return bits;
}

inline float float_of(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

inline float widen(uint16_t value) { return float_of(static_cast<uint32_t>(value) << 16); }

// Rounds to nearest, ties to even; NaN stays NaN.
inline uint16_t narrow(float value) {
  const uint32_t bits = bits_of(value);
  const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  return static_cast<uint16_t>((bits & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : rounded);
}

}  // namespace
