// Floats to codes, a group at a time: activations to int8, weights to 4 bits. The compiler vectorizes these loops for
// each variant.
#pragma once
#include "floats.h"
#include "products.h"

namespace {

using namespace products;

// Codes of one group in [-most, most], ties to even; returns their sum, and in `largest` the greatest magnitude.
template <int most, class Code>
inline int32_t round_group(const float *values, Code *codes, float *largest) {
  uint32_t top = 0;  // magnitudes compare as integers, NaN above infinity above all numbers
  for (int i = 0; i < kGroup; i++) {
    const uint32_t magnitude = bits_of(values[i]) & 0x7fffffff;
    top = magnitude > top ? magnitude : top;
  }
  *largest = top < 0x7f800000 ? float_of(top) : float_of(0x7fc00000);  // an infinite or NaN input makes NaN of the row
  const float scale = *largest > 1e-34f ? most / *largest : 0.0f;      // below, most / largest would overflow
  int32_t sum = 0;
  for (int i = 0; i < kGroup; i++) {
    // adding 1.5 * 2^23 leaves no place for a fraction: the sum's low bits are the rounded number
    const int32_t code = static_cast<int32_t>(bits_of(values[i] * scale + 12582912.0f)) - 0x4b400000;
    codes[i] = static_cast<Code>(code);
    sum += codes[i];
  }
  return sum;
}

inline void read_group(const void *from, int32_t type, int64_t at, float *values) {
  if (type == kFloat32) {
    std::memcpy(values, static_cast<const float *>(from) + at, kGroup * sizeof(float));
    return;
  }
  const uint16_t *narrow = static_cast<const uint16_t *>(from) + at;
  for (int i = 0; i < kGroup; i++) values[i] = widen(narrow[i]);
}

// Activations as the words that a lane's four weights of one part are multiplied with.
struct Coarse {
  using Code = int8_t;
  static constexpr int kMost = 127, kParts = 2, kWords = kSteps * kParts;
  static void words(const Code *codes, int32_t *words) { std::memcpy(words, codes, kGroup); }
};

// Part k of a step: the k-th nibble of its 16-bit words.
struct Fine {
  using Code = int16_t;
  static constexpr int kMost = 4095, kParts = 4, kWords = kSteps * kParts;
  static void words(const Code *codes, int32_t *words) {
    constexpr int kFirst[kParts] = {0, 4, 1, 5};
    for (int word = 0; word < kWords; word++) {
      const Code *at = codes + word / kParts * kStep + kFirst[word % kParts];
      words[word] = static_cast<uint16_t>(at[0]) | static_cast<int32_t>(static_cast<uint32_t>(at[2]) << 16);
    }
  }
};

// `offset` is what a variant adds to every level to have it unsigned; the bias takes it off again.
template <class Precision, int offset>
void quantize_tile(const Job &job, const Tiles &tiles, int64_t tile, int64_t first_group, int64_t last_group) {
  constexpr int kWords = Precision::kWords;
  const int64_t start = tiles.start(tile), height = tiles.rows(tile), groups = job.groups();
  for (int64_t group = first_group; group < last_group; group++) {
    for (int64_t row = 0; row < height; row++) {
      float values[kGroup], largest;
      alignas(64) typename Precision::Code codes[kGroup];
      alignas(64) int32_t words[kWords];
      read_group(job.x, job.x_type, (start + row) * job.x_stride + group * kGroup, values);
      const int32_t sum = round_group<Precision::kMost>(values, codes, &largest);
      const int64_t at = start * groups + group * height + row;
      job.biases[at] = -offset * sum;
      job.steps[at] = largest * job.step;
      Precision::words(codes, words);
      int32_t *to = job.codes + start * groups * kWords + group * kWords * height + row;
      for (int word = 0; word < kWords; word++) to[word * height] = words[word];
    }
  }
}

// The nearest of 16 ascending levels for each weight, given the 15 midpoints between them; returns the group's scale.
// Midpoints, the reciprocal and its floor are those of bitsandbytes' quantize_4bit, so that the codes are its own.
// `mirrored`: the scale has the sign that takes the greatest magnitude to -1, for levels from -1 to 7/8.
inline float encode_group(const void *weights, int32_t type, int64_t at, const float *midpoints, bool mirrored,
                          uint8_t *codes) {
  float values[kGroup];
  int32_t counts[kGroup] = {};
  read_group(weights, type, at, values);
  uint32_t top = 0;
  for (int i = 0; i < kGroup; i++) {
    const uint32_t magnitude = bits_of(values[i]) & 0x7fffffff;
    top = magnitude > top ? magnitude : top;
  }
  float scale = float_of(top);
  const float inverse = 1.0f / (scale < 1e-38f ? 1e-38f : scale);
  float sign = 1.0f;
  if (mirrored) {
    for (int i = kGroup - 1; i >= 0; i--)  // the first of equal magnitudes decides
      if (values[i] == scale || values[i] == -scale) sign = values[i] > 0 ? -1.0f : 1.0f;
  }
  for (int i = 0; i < kGroup; i++) {
    const float scaled = values[i] * inverse * sign;
    values[i] = scaled > 1.0f ? 1.0f : scaled < -1.0f ? -1.0f : scaled;
  }
  for (int level = 0; level < 15; level++)
    for (int i = 0; i < kGroup; i++) counts[i] += values[i] > midpoints[level];
  for (int i = 0; i < kGroup; i++) codes[i] = static_cast<uint8_t>(counts[i]);
  return scale * sign;
}

}  // namespace
