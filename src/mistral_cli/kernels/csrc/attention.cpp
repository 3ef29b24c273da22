// Which variant computes attention, and on how many threads.
#include "attention.h"

#include <atomic>

#include "products.h"

namespace attention {
namespace {

constexpr int64_t kWorthThreads = 1 << 18;  // multiplications below which waking threads costs more than it saves

#if defined(__x86_64__) || defined(__i386__)
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
bool has_bf16() { return has_avx512() && __builtin_cpu_supports("avx512bf16"); }
#else
bool has_avx2() { return false; }
bool has_avx512() { return false; }
bool has_bf16() { return false; }
#endif

const Variant *usable_variant(int64_t index) {
  static const Variant *const all[] = {has_bf16() ? kAvx512Bf16 : nullptr, has_avx512() ? kAvx512 : nullptr,
                                       has_avx2() ? kAvx2 : nullptr, kPortable};
  for (const Variant *variant : all)
    if (variant && index-- == 0) return variant;
  return nullptr;
}

struct Run {
  const Job &job;
  const Variant *variant;
  std::atomic<bool> failed;
};

void run_units(void *data, int64_t begin, int64_t end) {
  Run &run = *static_cast<Run *>(data);
  if (!run.variant->run(run.job, begin, end)) run.failed = true;
}

}  // namespace
}  // namespace attention

extern "C" {

// Name of the index-th variant that this processor has, the best first; null past the last.
const char *attention_variant(int index) {
  const attention::Variant *variant = attention::usable_variant(index);
  return variant ? variant->name : nullptr;
}

// Returns 0, or 1 if there is no memory for it.
int attention_attend(const attention::Call *call, const attention::Sequence *sequences) {
  using namespace attention;
  const Job job = {*call, sequences};
  if (job.count * job.tokens == 0) return 0;
  Run run = {job, usable_variant(job.variant), {false}};
  int64_t seen = 0;
  for (int64_t i = 0; i < job.count; i++)
    seen += sequences[i].start + job.tokens - job.first_seen(sequences[i].start);
  const bool few = seen * job.tokens * job.heads * job.width < kWorthThreads;
  products::in_parallel(job.units(), 1, few ? 1 : static_cast<int>(job.threads), run_units, &run);
  return run.failed;
}

}  // extern "C"
