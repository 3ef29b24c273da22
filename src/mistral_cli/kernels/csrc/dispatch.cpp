// What the processor can do, threads, and the entry point of the products. Knows no instruction set from inside.
#include <atomic>
#include <cstdlib>

#include "products.h"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace products {
namespace {

constexpr int64_t kWorthThreads = 1 << 18;  // multiplications below which waking threads costs more than it saves

using RunTeam = void (*)(void (*body)(void *), void *data, unsigned threads, unsigned flags);
RunTeam run_team = nullptr;

#if defined(__x86_64__) || defined(__i386__)
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}
bool has_avxvnni() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return has_avx2() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);  // older compilers know no name for it
}
bool has_neon() { return false; }
#else
bool has_avx2() { return false; }
bool has_avx512() { return false; }
bool has_avxvnni() { return false; }
#if defined(__aarch64__) && defined(__linux__)
bool has_neon() { return getauxval(AT_HWCAP) & HWCAP_ASIMDDP; }
#else
bool has_neon() { return true; }  // compiled in only where every processor of the platform has it
#endif
#endif

struct Team {
  std::atomic<int64_t> next;
  int64_t count, grain;
  void (*body)(void *, int64_t, int64_t);
  void *data;
};

void take_pieces(void *pointer) {
  Team &team = *static_cast<Team *>(pointer);
  for (;;) {
    const int64_t begin = team.next.fetch_add(team.grain);
    if (begin >= team.count) return;
    const int64_t end = begin + team.grain;
    team.body(team.data, begin, end < team.count ? end : team.count);
  }
}

struct Product {
  const Variant *variant;
  Job job;
  Tiles tiles;
  int64_t pieces;  // of a tile's groups, when activations are quantized
};

void quantize_pieces(void *pointer, int64_t begin, int64_t end) {
  const Product &product = *static_cast<Product *>(pointer);
  const int64_t groups = product.job.groups();
  for (int64_t piece = begin; piece < end; piece++) {
    const int64_t part = piece % product.pieces;
    product.variant->quantize(product.job, product.tiles, piece / product.pieces, part * groups / product.pieces,
                              (part + 1) * groups / product.pieces);
  }
}

void multiply_units(void *pointer, int64_t begin, int64_t end) {
  const Product &product = *static_cast<Product *>(pointer);
  for (int64_t unit = begin; unit < end; unit++) product.variant->multiply(product.job, product.tiles, unit);
}

void multiply(Product &product, int threads) {
  const Job &job = product.job;
  if (job.rows * job.outputs * job.inputs < kWorthThreads) threads = 1;
  product.pieces = job.rows * job.inputs < 1 << 15 ? 1 : (job.groups() + 15) / 16;
  const int64_t pieces = product.tiles.count * product.pieces;
  in_parallel(pieces, 1, pieces == 1 ? 1 : threads, quantize_pieces, &product);
  const int64_t wide = product.tiles.direct ? product.variant->direct_outputs : product.variant->tiled_outputs;
  const int64_t units = (job.outputs + wide - 1) / wide;
  in_parallel(units, 1 + units / (16 * threads), threads, multiply_units, &product);
}

}  // namespace

const Variant *usable_variant(int index) {
  // asked once: in a virtual machine each question takes microseconds
  static const Variant *const all[] = {has_avx512() ? kAvx512 : nullptr, has_avxvnni() ? kAvxVnni : nullptr,
                                       has_avx2() ? kAvx2 : nullptr, has_neon() ? kNeon : nullptr, kPortable};
  for (const Variant *variant : all)
    if (variant && index-- == 0) return variant;
  return nullptr;
}

void in_parallel(int64_t count, int64_t grain, int threads, void (*body)(void *, int64_t, int64_t), void *data) {
  if (threads <= 1 || !run_team) return body(data, 0, count);
  Team team = {{0}, count, grain, body, data};
  run_team(take_pieces, &team, static_cast<unsigned>(threads), 0);
}

}  // namespace products

extern "C" {

// `gomp_parallel`: GOMP_parallel of the OpenMP runtime that the process has already, so that there is one pool of
// threads. Without it everything runs on the caller's.
void products_use_threads_of(void *gomp_parallel) {
  products::run_team = reinterpret_cast<products::RunTeam>(gomp_parallel);
}

// Name of the index-th variant that this processor has, the best first; null past the last.
const char *products_variant(int index) {
  const products::Variant *variant = products::usable_variant(index);
  return variant ? variant->name : nullptr;
}

// Returns 0, or 1 if there is no memory for the quantized activations.
int products_linear(const products::Call *call) {
  using namespace products;
  if (call->rows == 0 || call->outputs == 0) return 0;
  const Variant *chosen = usable_variant(static_cast<int>(call->variant));
  Job job = {};
  job.x = reinterpret_cast<const void *>(call->x);
  job.x_stride = call->x_stride;
  job.x_type = static_cast<int32_t>(call->x_type);
  job.y = reinterpret_cast<void *>(call->y);
  job.y_type = static_cast<int32_t>(call->y_type);
  job.rows = call->rows;
  job.outputs = call->outputs;
  job.inputs = call->inputs;
  job.nibbles = reinterpret_cast<const uint8_t *>(call->nibbles);
  job.scales = reinterpret_cast<const uint16_t *>(call->scales);
  job.levels = reinterpret_cast<const int8_t *>(call->levels);
  job.step = static_cast<float>(call->step);
  char *memory = static_cast<char *>(std::malloc(job.rows * (job.inputs + job.groups() * 8)));
  if (!memory) return 1;
  job.codes = reinterpret_cast<int32_t *>(memory);
  job.steps = reinterpret_cast<float *>(memory + job.rows * job.inputs);
  job.biases = reinterpret_cast<int32_t *>(job.steps + job.rows * job.groups());
  Product product = {chosen, job, chosen->tiles(job.rows), 1};
  multiply(product, static_cast<int>(call->threads));
  std::free(memory);
  return 0;
}

}  // extern "C"
