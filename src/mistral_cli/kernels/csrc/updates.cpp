// Low-rank updates of one product, or of several of the same rows: who computes what when. Knows no instruction set.
//
// Two calls of the threads: all rows go down to the ranks of all updates, then up to the outputs of each product.
#include "updates.h"

#include <cstdlib>

#include "products.h"

namespace {

using products::in_parallel;
using updates::Call;
using updates::Update;

constexpr int64_t kWorthThreads = 1 << 17;      // multiplications below which waking threads costs more than it saves
constexpr int64_t kAlone = 1024, kAmong = 256;  // outputs that one thread takes at a time: of one row, of several
constexpr int64_t kRowsAtOnce = 96;

int64_t pieces(int64_t count, int64_t size) { return (count + size - 1) / size; }
int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

struct Pass {
  const Call *calls;
  int64_t count;
  const updates::Kernel *kernel;
  float *narrow;  // (rows, ranks): of all updates side by side, in order
  int64_t ranks;
  int64_t span;  // outputs that one thread takes at a time

  int64_t spans(int64_t call) const { return calls[call].count ? pieces(calls[call].outputs, span) : 0; }
  const Update *updates(int64_t call) const { return reinterpret_cast<const Update *>(calls[call].updates); }
  // Calls `body(call, update, its first rank)` for each, until one returns true.
  template <class Body>
  void each_update(Body &&body) const {
    int64_t first = 0;
    for (int64_t call = 0; call < count; call++)
      for (int64_t i = 0; i < calls[call].count; first += updates(call)[i++].rank)
        if (body(call, updates(call)[i], first)) return;
  }
};

// Pieces of a tile's rows: each of all ranks, so that the rows stay in the caches.
void descend(void *data, int64_t begin, int64_t end) {
  const Pass &pass = *static_cast<const Pass *>(data);
  const int64_t inputs = pass.calls->inputs, rows = pass.calls->rows, high = pass.kernel->rows, wide = pass.kernel->ranks;
  int64_t all = 0;
  pass.each_update([&](int64_t, const Update &update, int64_t) { return all += pieces(update.rank, wide), false; });
  for (int64_t piece = begin; piece < end; piece++) {
    const int64_t row = piece / all * high;
    int64_t tile = piece % all;
    pass.each_update([&](int64_t, const Update &update, int64_t first) {
      if (tile >= pieces(update.rank, wide)) return tile -= pieces(update.rank, wide), false;
      const int64_t rank = tile * wide;
      pass.kernel->descend(least(rows - row, high), least(update.rank - rank, wide),
                           reinterpret_cast<const float *>(pass.calls->x) + row * inputs,
                           reinterpret_cast<const float *>(update.down) + rank * inputs, inputs,
                           static_cast<float>(update.factor), pass.narrow + row * pass.ranks + first + rank, pass.ranks);
      return true;
    });
  }
}

// One span of the outputs of one product, for some of the rows: all its updates, in order.
void ascend_span(const Pass &pass, int64_t call, int64_t span, int64_t row) {
  const int64_t outputs = pass.calls[call].outputs, output = span * pass.span;
  pass.each_update([&](int64_t of, const Update &update, int64_t first) {
    if (of == call)
      pass.kernel->ascend(least(pass.calls->rows - row, kRowsAtOnce), least(outputs - output, pass.span),
                          pass.narrow + row * pass.ranks + first, pass.ranks,
                          reinterpret_cast<const float *>(update.up) + output, update.rank,
                          reinterpret_cast<float *>(pass.calls[call].y) + row * outputs + output, outputs);
    return of > call;
  });
}

void ascend(void *data, int64_t begin, int64_t end) {
  const Pass &pass = *static_cast<const Pass *>(data);
  const int64_t blocks = pieces(pass.calls->rows, kRowsAtOnce);
  for (int64_t piece = begin; piece < end; piece++) {
    int64_t call = 0, span = piece / blocks;
    for (; span >= pass.spans(call); call++) span -= pass.spans(call);
    ascend_span(pass, call, span, piece % blocks * kRowsAtOnce);
  }
}

}  // namespace

extern "C" {

int updates_add(const Call *calls, int64_t count) {
  const updates::Kernel &kernel = products::usable_variant(static_cast<int>(calls->variant))->updates;
  const int64_t rows = calls->rows;
  Pass pass = {calls, count, &kernel, nullptr, 0, rows == 1 ? kAlone : kAmong};
  int64_t tiles = 0, all_spans = 0, multiplications = 0;
  pass.each_update([&](int64_t call, const Update &update, int64_t) {
    pass.ranks += update.rank, tiles += pieces(update.rank, kernel.ranks);
    multiplications += rows * update.rank * (calls->inputs + calls[call].outputs);
    return false;
  });
  if (!rows || !pass.ranks) return 0;
  for (int64_t call = 0; call < count; call++) all_spans += pass.spans(call);
  pass.narrow = static_cast<float *>(std::malloc(rows * pass.ranks * sizeof(float)));
  if (!pass.narrow) return 1;
  const int threads = multiplications < kWorthThreads ? 1 : static_cast<int>(calls->threads);
  const int64_t down = tiles * pieces(rows, kernel.rows), up = all_spans * pieces(rows, kRowsAtOnce);
  in_parallel(down, 1 + down / (16 * calls->threads), threads, descend, &pass);
  in_parallel(up, 1 + up / (16 * calls->threads), threads, ascend, &pass);
  std::free(pass.narrow);
  return 0;
}

}  // extern "C"
