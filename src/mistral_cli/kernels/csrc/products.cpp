// One product, or several of the same rows: who quantizes and who multiplies when. Knows no instruction set.
//
// All happens in one call of the threads. Each first claims outputs and fetches the beginning of their weights, so that
// memory works while the rows are quantized; then it takes its share of the quantizing, waits for the others' and
// multiplies. Nothing waits for a thread that has not claimed anything, so any number of them may come, at any time.
#include "products.h"

#include <atomic>
#include <cstdlib>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <sched.h>
#endif

namespace products {
namespace {

constexpr int64_t kWorthThreads = 1 << 18;  // multiplications below which waking threads costs more than it saves
constexpr int64_t kPieceGroups = 32;        // that one thread quantizes at a time, at least
constexpr int64_t kFirstBytes = 16384;      // of weights fetched before the rows are quantized
constexpr int kSpins = 4096;                // looks at a counter before giving the processor away

struct Part {
  Job job;
  const Kernel *kernel;
  Tiles tiles;
  int64_t first_unit, units;    // among those of all parts
  int64_t first_piece, pieces;  // the same of what there is to quantize; none where an earlier part's serves
  int64_t pieces_of_tile;
};

struct Product {
  Part *parts;
  int64_t count, units, pieces;
  int threads;
  std::atomic<int64_t> next_unit, next_piece, quantized;
};

void pause(int spins) {
#if defined(__x86_64__) || defined(__i386__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
#if defined(__unix__) || defined(__APPLE__)
  if (spins > kSpins) sched_yield();
#endif
}

struct Units {
  int64_t begin, end;
};

// A share of what is left: large while there is much, small at the end, so that all threads end together.
Units claim(Product &product) {
  int64_t begin = product.next_unit.load(std::memory_order_relaxed), size;
  do {
    const int64_t left = product.units - begin;
    if (left <= 0) return {0, 0};
    size = product.threads == 1 ? left : 1 + left / (4 * product.threads);
  } while (!product.next_unit.compare_exchange_weak(begin, begin + size, std::memory_order_relaxed));
  return {begin, begin + size};
}

const Part &part_of(const Product &product, int64_t unit) {
  int64_t i = product.count - 1;
  while (product.parts[i].first_unit > unit) i--;
  return product.parts[i];
}

void fetch(const Product &product, Units units) {
  const Part &part = part_of(product, units.begin);
  const int64_t wide = part.tiles.direct ? part.kernel->direct_outputs : part.kernel->tiled_outputs;
  const int64_t block = (units.begin - part.first_unit) * wide / kBlock, size = part.job.groups() * kGroupBytes;
  const uint8_t *from = part.job.nibbles + block * size;
  const int64_t bytes = size < kFirstBytes ? size : kFirstBytes;
  for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(from + i, 0, 2);
}

void quantize(Product &product) {
  int64_t piece;
  while ((piece = product.next_piece.fetch_add(1, std::memory_order_relaxed)) < product.pieces) {
    const Part *part = product.parts;
    while (piece >= part->first_piece + part->pieces) part++;
    const int64_t here = piece - part->first_piece, all = part->pieces_of_tile, groups = part->job.groups();
    part->kernel->quantize(part->job, part->tiles, here / all, here % all * groups / all,
                           (here % all + 1) * groups / all);
    product.quantized.fetch_add(1, std::memory_order_release);
  }
  for (int spins = 0; product.quantized.load(std::memory_order_acquire) < product.pieces; spins++) pause(spins);
}

void take_part(void *pointer) {
  Product &product = *static_cast<Product *>(pointer);
  Units units = claim(product);
  if (units.end) fetch(product, units);
  quantize(product);
  for (; units.end; units = claim(product))
    for (int64_t unit = units.begin; unit < units.end; unit++) {
      const Part &part = part_of(product, unit);
      part.kernel->multiply(part.job, part.tiles, unit - part.first_unit);
    }
}

Job job_of(const Call &call, const Call &first) {
  Job job = {};
  job.x = reinterpret_cast<const void *>(first.x);
  job.x_stride = first.x_stride;
  job.x_type = static_cast<int32_t>(first.x_type);
  job.y = reinterpret_cast<void *>(call.y);
  job.y_type = static_cast<int32_t>(call.y_type);
  job.rows = first.rows;
  job.outputs = call.outputs;
  job.inputs = first.inputs;
  job.nibbles = reinterpret_cast<const uint8_t *>(call.nibbles);
  job.scales = reinterpret_cast<const void *>(call.scales);
  job.nested = reinterpret_cast<const float *>(call.nested);
  job.levels = reinterpret_cast<const Levels *>(call.levels);
  job.step = static_cast<float>(call.step);
  return job;
}

int64_t code_bytes(const Part &part) {
  const Job &job = part.job;
  return job.rows * (job.inputs / part.kernel->word_inputs * 4 + job.groups() * 8);
}

void place_codes(Part &part, char *memory) {
  Job &job = part.job;
  job.codes = reinterpret_cast<int32_t *>(memory);
  job.steps = reinterpret_cast<float *>(memory + job.rows * job.inputs / part.kernel->word_inputs * 4);
  job.biases = reinterpret_cast<int32_t *>(job.steps + job.rows * job.groups());
}

// The earlier part whose quantized rows are this one's, too; null if there is none.
const Part *same_codes(const Part *parts, const Part &part) {
  for (const Part *earlier = parts; earlier != &part; earlier++)
    if (earlier->kernel == part.kernel && earlier->job.step == part.job.step) return earlier;
  return nullptr;
}

// Appends a part; returns whether its rows must be quantized.
bool append(Product &product, const Call &call, const Call &first) {
  const Variant *variant = usable_variant(static_cast<int>(first.variant));
  const Job job = job_of(call, first);
  const Kernel *kernel = job.levels->is_fine ? &variant->fine : &variant->coarse;
  const Tiles tiles = kernel->tiles(job.rows);
  const int64_t wide = tiles.direct ? kernel->direct_outputs : kernel->tiled_outputs;
  Part &part = product.parts[product.count++];
  part = {job, kernel, tiles, product.units, (job.outputs + wide - 1) / wide, product.pieces, 0, 0};
  product.units += part.units;
  if (const Part *same = same_codes(product.parts, part)) {
    part.job.codes = same->job.codes, part.job.steps = same->job.steps, part.job.biases = same->job.biases;
    return false;
  }
  part.pieces_of_tile = (job.groups() + kPieceGroups - 1) / kPieceGroups;
  part.pieces = tiles.count * part.pieces_of_tile;
  product.pieces += part.pieces;
  return true;
}

int run(const Call *calls, int64_t count, void *parts) {
  Product product = {static_cast<Part *>(parts), 0, 0, 0, static_cast<int>(calls->threads), {0}, {0}, {0}};
  void *memory[kMostAtOnce] = {};
  int64_t taken = 0, multiplications = 0;
  bool failed = false;
  for (int64_t i = 0; i < count; i++) {
    if (!calls[i].outputs || !append(product, calls[i], *calls)) continue;
    Part &part = product.parts[product.count - 1];
    memory[taken] = std::malloc(code_bytes(part));
    failed |= !memory[taken];
    place_codes(part, static_cast<char *>(memory[taken++]));
  }
  for (int64_t i = 0; i < product.count; i++)
    multiplications += product.parts[i].job.rows * product.parts[i].job.outputs * product.parts[i].job.inputs;
  if (multiplications < kWorthThreads) product.threads = 1;
  if (!failed && product.count) on_each(product.threads, take_part, &product);
  while (taken) std::free(memory[--taken]);
  return failed;
}

}  // namespace
}  // namespace products

extern "C" {

int products_joined(const products::Call *calls, int64_t count) {
  using namespace products;
  alignas(Part) char parts[kMostAtOnce * sizeof(Part)];
  if (count && !calls->rows) return 0;
  for (int64_t i = 0; i < count; i += kMostAtOnce)
    if (run(calls + i, count - i < kMostAtOnce ? count - i : kMostAtOnce, parts)) return 1;
  return 0;
}

int products_linear(const products::Call *call) { return products_joined(call, 1); }

}  // extern "C"
