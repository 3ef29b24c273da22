// What the variants share: the layout of packed weights, one product's arguments, a variant's table of functions.
//
// Packed weights. Outputs (rows of W) go in blocks of 16, inputs in groups of 64. One block and group is 512 bytes:
// eight steps of 64 bytes, each holding 8 inputs of the 16 outputs. Byte 4 * output + j has input j of its step in the
// low nibble and input 4 + j in the high one, so that a 32-bit lane meets the four activations that it is multiplied
// with. Beside it stand 16 scales. The last block is filled up with zeros.
//
// Scales are bfloat16, or quantized again as bitsandbytes does (Dettmers et al., "QLoRA", section 3): a byte each. What
// it stands for (`Levels`), times the size of its run, plus the offset of the matrix, is the scale; both steps round to
// float. A run is 256 scales in the order of the rows of W, and may end within a row.
//
// Activations are quantized, a row and a group of 64 at a time; products within a group are exact integer sums, and the
// groups of a row are added in float, in order, with one fused multiply-add each. A result therefore depends on its row
// and its output alone: not on the variant, the number of threads, nor on neighbouring rows.
//
// Two precisions. Coarse: activations within 127, levels in int8, four products a lane and instruction. Fine:
// activations within 4095, levels in int16, two products a lane; 64 of them still fit into 32 bits.
#pragma once
#include <cstdint>

#include "updates.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are read as bytes");

namespace products {

constexpr int64_t kGroup = 64;  // inputs that share a scale, of weights and of activations alike
constexpr int64_t kBlock = 16;  // outputs that are interleaved
constexpr int64_t kStep = 8;    // inputs in 64 bytes
constexpr int64_t kSteps = kGroup / kStep;
constexpr int64_t kGroupBytes = kBlock * kGroup / 2;

constexpr int64_t kRun = 256;   // scales that share a size where they are quantized again
constexpr int64_t kLooked = 4;  // groups whose scales are looked up at once: 64 bytes of a block

constexpr int64_t kMostAtOnce = 8;  // products of one call of the threads

enum Type : int32_t { kFloat32 = 0, kBFloat16 = 1 };

// What each of the 256 codes of a scale stands for; what each of the 16 codes of a weight does, in either precision, and
// which of them is wanted.
struct alignas(64) Levels {
  uint8_t scales[2][256];  // bfloat16: the lower bytes of all, then the upper ones
  int8_t coarse[16];
  int16_t fine[16];
  int32_t is_fine;
};

// y (rows, outputs) = x (rows, inputs) times the transposed weights
struct Job {
  const void *x;
  int64_t x_stride;  // in elements
  int32_t x_type;
  int32_t y_type;
  void *y;  // contiguous
  int64_t rows, outputs, inputs;
  const uint8_t *nibbles;  // (blocks, groups, 512)
  const void *scales;      // (blocks, groups, 16): bfloat16, or bytes where there is `nested`
  const float *nested;     // the offset, then the sizes of the runs; or null
  const Levels *levels;
  float step;  // 1 / (largest activation * unit of the levels): takes integer sums back to floats
  // Activations, written by `quantize`, read by `multiply`: rows in tiles, see `Tiles`.
  int32_t *codes;   // a tile of R rows: (groups, W, R) words; coarse: W = 16 words of 4 inputs, fine: W = 32 of 2
  float *steps;     // a tile: (groups, R)
  int32_t *biases;  // a tile: (groups, R), what the sums start from

  int64_t groups() const { return inputs / kGroup; }
  int64_t blocks() const { return (outputs + kBlock - 1) / kBlock; }
  // After so many groups a run may end, in any row: the greatest power of 2 that divides both a row and a run.
  int64_t steady() const { return (groups() | kRun) & -(groups() | kRun); }
  float size(int64_t output, int64_t group) const {
    return nested[1 + ((output < outputs ? output : outputs - 1) * groups() + group) / kRun];
  }
};

// One product as callers see it: 64-bit words, so that they fill it in one go. See `Job`.
struct Call {
  int64_t variant, threads;
  int64_t x, x_stride, x_type, y, y_type;
  int64_t rows, outputs, inputs;
  int64_t nibbles, scales, nested, levels;
  double step;
};

// Rows are computed in tiles of nearly equal height.
struct Tiles {
  bool direct;                    // each decodes the weights for itself
  int64_t count, height, higher;  // the first `higher` tiles have one row more than `height`

  Tiles(bool direct, int64_t rows, int64_t highest)
      : direct(direct), count((rows + highest - 1) / highest), height(rows / count), higher(rows % count) {}
  int64_t start(int64_t tile) const { return tile * height + (tile < higher ? tile : higher); }
  int64_t rows(int64_t tile) const { return height + (tile < higher); }
};

// One precision of a variant.
struct Kernel {
  int64_t word_inputs;                    // inputs in a word of activations
  int64_t direct_rows, tiled_rows;        // the most rows of a tile, for few rows and for many
  int64_t direct_outputs, tiled_outputs;  // of one unit of work
  void (*quantize)(const Job &, const Tiles &, int64_t tile, int64_t first_group, int64_t last_group);
  void (*multiply)(const Job &, const Tiles &, int64_t unit);
  Tiles tiles(int64_t total) const {
    const bool direct = total <= 2 * direct_rows;
    return {direct, total, direct ? direct_rows : tiled_rows};
  }
};

struct Variant {
  const char *name;
  Kernel coarse, fine;
  float (*encode)(const void *weights, int32_t type, int64_t at, const float *midpoints, bool mirrored, uint8_t *codes);
  updates::Kernel updates;
};

// The best first; null past those that this processor has.
const Variant *usable_variant(int index);

// Null where the compiler had no such instructions.
extern const Variant *const kAvx512Vbmi, *const kAvx512, *const kAvxVnni, *const kAvx2, *const kNeon, *const kPortable;

// Calls `body(data, begin, end)` over pieces of 0 .. count - 1, on `threads` threads of the process's OpenMP runtime.
void in_parallel(int64_t count, int64_t grain, int threads, void (*body)(void *, int64_t, int64_t), void *data);

// Calls `body(data)` on each of at most `threads` threads of that runtime, and waits for all.
void on_each(int threads, void (*body)(void *), void *data);

}  // namespace products

extern "C" {

// Returns 0, or 1 if there is no memory for the quantized activations.
int products_linear(const products::Call *call);

// Several products of the same rows: x, its stride and type, rows, inputs, variant and threads are those of the first.
int products_joined(const products::Call *calls, int64_t count);
}
