// Weights into the layout of `products.h` and back. Knows no product.
#include "floats.h"
#include "products.h"

namespace products {
namespace {

struct Packing {
  int64_t outputs, inputs;
  uint8_t *nibbles;
  uint16_t *scales;
  // from, or to, rows of weights: two codes a byte, the first in the high nibble, with a scale a group
  uint8_t *bytes;
  const float *absmax;
  // from, or to, numbers
  void *numbers;
  int32_t type;
  const float *levels;  // 16 when weights become numbers; the 15 midpoints between them when numbers become weights
  bool mirrored;
  const Variant *variant;

  int64_t groups() const { return inputs / kGroup; }
  uint8_t *group_nibbles(int64_t row, int64_t group) const {
    return nibbles + (row / kBlock * groups() + group) * kGroupBytes + row % kBlock * 4;
  }
  uint16_t &scale(int64_t row, int64_t group) const {
    return scales[(row / kBlock * groups() + group) * kBlock + row % kBlock];
  }
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
  packing.scale(row, group) = narrow(packing.absmax[row * packing.groups() + group]);
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
      narrow(packing.variant->encode(packing.numbers, packing.type, at, packing.levels, packing.mirrored, codes));
  write_codes(codes, packing.group_nibbles(row, group));
}

void dequantize_group(const Packing &packing, int64_t row, int64_t group) {
  uint8_t codes[kGroup];
  read_codes(packing.group_nibbles(row, group), codes);
  const float scale = widen(packing.scale(row, group));
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

}  // namespace
}  // namespace products

// Weights are (outputs, inputs), rows without gaps. Rows that fill up the last block are left as the caller made them.
extern "C" {

void products_pack(const uint8_t *bytes, const float *absmax, int64_t outputs, int64_t inputs, uint8_t *nibbles,
                   uint16_t *scales, int threads) {
  using namespace products;
  convert_all<pack_group>(
      {outputs, inputs, nibbles, scales, const_cast<uint8_t *>(bytes), absmax, nullptr, 0, nullptr, false, nullptr},
      threads);
}

void products_unpack(uint8_t *nibbles, int64_t outputs, int64_t inputs, uint8_t *bytes, int threads) {
  using namespace products;
  convert_all<unpack_group>({outputs, inputs, nibbles, nullptr, bytes, nullptr, nullptr, 0, nullptr, false, nullptr},
                            threads);
}

void products_quantize(int variant, void *numbers, int32_t type, const float *midpoints, int mirrored, int64_t outputs,
                       int64_t inputs, uint8_t *nibbles, uint16_t *scales, int threads) {
  using namespace products;
  convert_all<quantize_group>({outputs, inputs, nibbles, scales, nullptr, nullptr, numbers, type, midpoints,
                               mirrored != 0, usable_variant(variant)},
                              threads);
}

void products_dequantize(uint8_t *nibbles, uint16_t *scales, const float *levels, int64_t outputs, int64_t inputs,
                         void *numbers, int32_t type, int threads) {
  using namespace products;
  convert_all<dequantize_group>(
      {outputs, inputs, nibbles, scales, nullptr, nullptr, numbers, type, levels, false, nullptr}, threads);
}

}  // extern "C"
