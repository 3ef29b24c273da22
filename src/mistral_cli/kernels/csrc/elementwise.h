// What stands between the products, see elementwise.cpp: what its entry points are called with. 64-bit words, addresses
// among them, so that a caller fills them in one go.
#pragma once
#include <cstdint>

namespace elementwise {

struct Norm {
  int64_t x, x_type, weight, weight_type, y;
  int64_t rows, width, threads;
  double eps;
};

struct Gate {
  int64_t gate, up, count, threads;
};

// Heads (H, T, D) of one row, with any strides of heads and steps.
struct Heads {
  int64_t from, from_type, head_stride, step_stride;
  int64_t to, to_type, to_head_stride, to_step_stride;
  int64_t heads;
};

struct Place {
  Heads query, key, value;
  int64_t cos, sin, steps, width, threads;
};

}  // namespace elementwise

extern "C" {

// y (rows, width) in float = weight * x / root of (mean of x squared + eps).
void elementwise_norm(const elementwise::Norm *norm);

// gate = silu(gate) * up, in place.
void elementwise_gate(const elementwise::Gate *gate);

// Queries are turned; keys, turned, and values go into a cache. One row of a batch.
void elementwise_place(const elementwise::Place *place);

}  // extern "C"
