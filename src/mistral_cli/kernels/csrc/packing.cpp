// Weights into the layout of `products.h` and back. Knows no product.
#include <cmath>

#include "floats.h"
#include "products.h"

namespace products {
namespace {

struct Packing {
  int64_t outputs, inputs;
  uint8_t *nibbles;
  uint8_t *bytes;  // rows of weights: two codes a byte, the first in the high nibble
  // numbers, and their scales, a group after the other
  void *numbers;
  int32_t type;
  float *scales;
  const float *levels;  // 16 when weights become numbers; the 15 midpoints between them when numbers become weights
  bool mirrored;
  const Variant *variant;

  int64_t groups() const { return inputs / kGroup; }
  uint8_t *group_nibbles(int64_t row, int64_t group) const {
    return nibbles + (row / kBlock * groups() + group) * kGroupBytes + row % kBlock * 4;
  }
  float &scale(int64_t row, int64_t group) const { return scales[row * groups() + group]; }
};

// Eight codes of a step, a byte each, to 32 bits of nibbles and back; the first byte is the lowest.
void write_codes(const uint8_t *codes, uint8_t *to) {
  for (int step = 0; step < kSteps; step++) {
    uint64_t eight;
    std::memcpy(&eight, codes + 8 * step, 8);
    const uint32_t nibbles = static_cast<uint32_t>(eight) | static_cast<uint32_t>(eight >> 32) << 4;
    std::memcpy(to + 64 * step, &nibbles, 4);
  }
}

void read_codes(const uint8_t *from, uint8_t *codes) {
  for (int step = 0; step < kSteps; step++) {
    uint32_t nibbles;
    std::memcpy(&nibbles, from + 64 * step, 4);
    const uint64_t eight = (nibbles & 0x0f0f0f0f) | static_cast<uint64_t>(nibbles >> 4 & 0x0f0f0f0f) << 32;
    std::memcpy(codes + 8 * step, &eight, 8);
  }
}

void pack_group(const Packing &packing, int64_t row, int64_t group) {
  uint8_t codes[kGroup];
  const uint8_t *bytes = packing.bytes + (row * packing.inputs + group * kGroup) / 2;
  for (int i = 0; i < kGroup / 2; i++) codes[2 * i] = bytes[i] >> 4, codes[2 * i + 1] = bytes[i] & 15;
  write_codes(codes, packing.group_nibbles(row, group));
}

void unpack_group(const Packing &packing, int64_t row, int64_t group) {
  uint8_t codes[kGroup];
  uint8_t *bytes = packing.bytes + (row * packing.inputs + group * kGroup) / 2;
  read_codes(packing.group_nibbles(row, group), codes);
  for (int i = 0; i < kGroup / 2; i++) bytes[i] = codes[2 * i] << 4 | codes[2 * i + 1];
}

void quantize_group(const Packing &packing, int64_t row, int64_t group) {
  uint8_t codes[kGroup];
  const int64_t at = row * packing.inputs + group * kGroup;
  packing.scale(row, group) =
      packing.variant->encode(packing.numbers, packing.type, at, packing.levels, packing.mirrored, codes);
  write_codes(codes, packing.group_nibbles(row, group));
}

void dequantize_group(const Packing &packing, int64_t row, int64_t group) {
  uint8_t codes[kGroup];
  read_codes(packing.group_nibbles(row, group), codes);
  const float scale = packing.scale(row, group);
  const int64_t at = row * packing.inputs + group * kGroup;
  float values[16];
  uint16_t narrowed[16];
  for (int code = 0; code < 16; code++)
    values[code] = packing.levels[code] * scale, narrowed[code] = narrow(values[code]);
  for (int i = 0; i < kGroup; i++) {
    if (packing.type == kFloat32)
      static_cast<float *>(packing.numbers)[at + i] = values[codes[i]];
    else
      static_cast<uint16_t *>(packing.numbers)[at + i] = narrowed[codes[i]];
  }
}

template <void (*convert)(const Packing &, int64_t, int64_t)>
void convert_blocks(void *pointer, int64_t begin, int64_t end) {
  const Packing &packing = *static_cast<const Packing *>(pointer);
  const int64_t last = end * kBlock < packing.outputs ? end * kBlock : packing.outputs;
  for (int64_t row = begin * kBlock; row < last; row++)
    for (int64_t group = 0; group < packing.groups(); group++) convert(packing, row, group);
}

template <void (*convert)(const Packing &, int64_t, int64_t)>
void convert_all(Packing packing, int threads) {
  in_parallel((packing.outputs + kBlock - 1) / kBlock, 4, threads, convert_blocks<convert>, &packing);
}

struct Nesting {
  const float *scales;
  int64_t count;
  const float *midpoints;  // the 255 between the levels
  float offset;
  uint8_t *codes;
  float *sizes;
};

// The nearest level of each scale, its offset taken off, divided by the greatest of its run.
void nest_runs(void *pointer, int64_t begin, int64_t end) {
  const Nesting &nesting = *static_cast<const Nesting *>(pointer);
  for (int64_t run = begin; run < end; run++) {
    const int64_t first = run * kRun, last = first + kRun < nesting.count ? first + kRun : nesting.count;
    float size = 0.0f;
    for (int64_t i = first; i < last; i++) {
      const float rest = std::fabs(nesting.scales[i] - nesting.offset);
      size = rest > size ? rest : size;
    }
    nesting.sizes[run] = size;
    for (int64_t i = first; i < last; i++) {
      const float part = size > 0.0f ? (nesting.scales[i] - nesting.offset) / size : 0.0f;
      int code = 0;
      for (int half = 128; half; half /= 2) code += part > nesting.midpoints[code + half - 1] ? half : 0;
      nesting.codes[i] = static_cast<uint8_t>(code);
    }
  }
}

}  // namespace
}  // namespace products

// Weights are (outputs, inputs), rows without gaps. Rows that fill up the last block are left as the caller made them.
extern "C" {

void products_pack(uint8_t *bytes, int64_t outputs, int64_t inputs, uint8_t *nibbles, int threads) {
  products::convert_all<products::pack_group>({outputs, inputs, nibbles, bytes}, threads);
}

void products_unpack(uint8_t *nibbles, int64_t outputs, int64_t inputs, uint8_t *bytes, int threads) {
  products::convert_all<products::unpack_group>({outputs, inputs, nibbles, bytes}, threads);
}

void products_quantize(int variant, void *numbers, int32_t type, const float *midpoints, int mirrored, int64_t outputs,
                       int64_t inputs, uint8_t *nibbles, float *scales, int threads) {
  using namespace products;
  convert_all<quantize_group>({outputs, inputs, nibbles, nullptr, numbers, type, scales, midpoints, mirrored != 0,
                               usable_variant(variant)},
                              threads);
}

void products_dequantize(uint8_t *nibbles, float *scales, const float *levels, int64_t outputs, int64_t inputs,
                         void *numbers, int32_t type, int threads) {
  using namespace products;
  convert_all<dequantize_group>({outputs, inputs, nibbles, nullptr, numbers, type, scales, levels}, threads);
}

// Quantizes scales again. `nested` begins with the offset, and is filled with the sizes of the runs.
void products_nest(const float *scales, int64_t count, const float *midpoints, uint8_t *codes, float *nested,
                   int threads) {
  using namespace products;
  Nesting nesting = {scales, count, midpoints, *nested, codes, nested + 1};
  in_parallel((count + kRun - 1) / kRun, 64, threads, nest_runs, &nesting);
}

}  // extern "C"
