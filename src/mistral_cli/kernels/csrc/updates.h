// Low-rank updates of products, see updates.cpp: what its entry point is called with, and what a variant computes.
//
// Hu et al., "LoRA" (arXiv:2106.09685), section 4.1: y += factor * (x times down transposed) times up. All in float. Sums
// have one order whatever the instruction set (nothing is contracted), and each depends on its row alone.
#pragma once
#include <cstdint>

namespace updates {

constexpr int64_t kPartials = 16;  // partial sums of a row of `down`; they divide the inputs

// 64-bit words, addresses among them, so that a caller fills them in one go.
struct Update {
  int64_t down;  // (rank, inputs), contiguous
  int64_t up;    // (rank, outputs), contiguous
  int64_t rank;
  double factor;
};

// What one product y (rows, outputs) of x (rows, inputs) gets added; both contiguous.
struct Call {
  int64_t variant, threads;
  int64_t x, y;
  int64_t rows, outputs, inputs;
  int64_t updates, count;  // address of that many `Update`s
};

// What a variant computes: tiles of a few rows and a few ranks, then rows of any number and outputs of any number.
struct Kernel {
  int64_t rows, ranks;  // of the largest tile
  // narrow (rows, ranks) = factor * x (rows, inputs) times the transposed down (ranks, inputs)
  void (*descend)(int64_t rows, int64_t ranks, const float *x, const float *down, int64_t inputs, float factor,
                  float *narrow, int64_t narrow_stride);
  // y (rows, count) += narrow (rows, rank) times up (rank, count); both y and up have lines of `stride`
  void (*ascend)(int64_t rows, int64_t count, const float *narrow, int64_t narrow_stride, const float *up, int64_t rank,
                 float *y, int64_t stride);
};

}  // namespace updates

extern "C" {

// Several products of the same rows: variant, threads, x, rows and inputs are those of the first. Returns 0, or 1 if
// there is no memory for what is computed on the way.
int updates_add(const updates::Call *calls, int64_t count);
}
