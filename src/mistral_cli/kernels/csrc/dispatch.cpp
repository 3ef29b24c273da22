// What the processor can do, and threads. Knows no instruction set from inside, and no product.
#include <atomic>

#include "products.h"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace products {
namespace {

using RunTeam = void (*)(void (*body)(void *), void *data, unsigned threads, unsigned flags);
RunTeam run_team = nullptr;

#if defined(__x86_64__) || defined(__i386__)
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}
bool has_vbmi() { return has_avx512() && __builtin_cpu_supports("avx512vbmi"); }
bool has_avxvnni() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return has_avx2() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);  // older compilers know no name for it
}
bool has_neon() { return false; }
#else
bool has_avx2() { return false; }
bool has_avx512() { return false; }
bool has_vbmi() { return false; }
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

}  // namespace

const Variant *usable_variant(int index) {
  // asked once: in a virtual machine each question takes microseconds
  static const Variant *const all[] = {has_vbmi() ? kAvx512Vbmi : nullptr,  has_avx512() ? kAvx512 : nullptr,
                                       has_avxvnni() ? kAvxVnni : nullptr, has_avx2() ? kAvx2 : nullptr,
                                       has_neon() ? kNeon : nullptr,       kPortable};
  for (const Variant *variant : all)
    if (variant && index-- == 0) return variant;
  return nullptr;
}

void in_parallel(int64_t count, int64_t grain, int threads, void (*body)(void *, int64_t, int64_t), void *data) {
  if (threads <= 1 || !run_team) return body(data, 0, count);
  Team team = {{0}, count, grain, body, data};
  on_each(threads, take_pieces, &team);
}

void on_each(int threads, void (*body)(void *), void *data) {
  if (threads <= 1 || !run_team) return body(data);
  run_team(body, data, static_cast<unsigned>(threads), 0);
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

}  // extern "C"
