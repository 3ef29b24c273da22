// Keys and values on their way into a cache of codes: one byte a number, one scale for each token and head.
#include "attention.h"
#include "floats.h"
#include "products.h"

// glibc picks, when the library is loaded, the copy that the processor can run
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EACH_LEVEL __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_EACH_LEVEL
#endif

namespace {

using namespace products;
using attention::Keep;

constexpr int64_t kWidest = 256;
constexpr int64_t kThreaded = 1 << 16;  // numbers below which waking threads costs more than it saves

// The greatest magnitude becomes 127. Where it is NaN or infinite so is the scale, and what is decoded is NaN.
FOR_EACH_LEVEL float round_row(const float *line, int8_t *codes, int64_t width) {
  uint32_t top = 0;  // magnitudes compare as integers, NaN above infinity above all numbers
  for (int64_t i = 0; i < width; i++) {
    const uint32_t magnitude = bits_of(line[i]) & 0x7fffffff;
    top = magnitude > top ? magnitude : top;
  }
  const float scale = float_of(top) * (1.0f / 127.0f), least = 1.17549435e-38f;
  const float step = scale < least ? least : scale;
  for (int64_t i = 0; i < width; i++) {
    float code = line[i] / step;
    code = code > 127.0f ? 127.0f : code < -127.0f ? -127.0f : code;
    code = code == code ? code : 0.0f;
    // adding 1.5 * 2^23 leaves no place for a fraction: the sum's low bits are the rounded number
    codes[i] = static_cast<int8_t>(static_cast<int32_t>(bits_of(code + 12582912.0f)) - 0x4b400000);
  }
  return scale;
}

FOR_EACH_LEVEL void keep_row(const Keep &keep, int64_t head, int64_t step) {
  float line[kWidest];
  const int64_t at = head * keep.head_stride + step * keep.step_stride;
  if (keep.from_type == kFloat32)
    std::memcpy(line, reinterpret_cast<const float *>(keep.from) + at, keep.width * sizeof(float));
  else
    for (int64_t i = 0; i < keep.width; i++) line[i] = widen(reinterpret_cast<const uint16_t *>(keep.from)[at + i]);
  int8_t *codes = reinterpret_cast<int8_t *>(keep.codes) + head * keep.code_stride + step * keep.width;
  reinterpret_cast<float *>(keep.scales)[head * keep.scale_stride + step] = round_row(line, codes, keep.width);
}

void keep_rows(void *data, int64_t begin, int64_t end) {
  const Keep &keep = *static_cast<const Keep *>(data);
  for (int64_t row = begin; row < end; row++) keep_row(keep, row % keep.heads, row / keep.heads);
}

}  // namespace

// One row of a batch.
extern "C" void attention_keep(Keep *keep) {
  const int64_t rows = keep->heads * keep->steps;
  in_parallel(rows, 1 + rows / (8 * keep->threads), rows * keep->width < kThreaded ? 1 : static_cast<int>(keep->threads),
              keep_rows, keep);
}
