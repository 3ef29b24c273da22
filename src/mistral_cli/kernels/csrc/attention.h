// Attention of queries to cached keys and values: what the variants share.
//
// The sum over the keys that a query sees goes block by block, in the order of their positions, and blocks of 64 are
// aligned at absolute positions. Within a block every number has its own chain of additions. A result therefore
// depends on its query and on the keys that it sees alone: not on the queries beside it, how many of them are computed
// in one go, the number of threads, nor on where in memory the keys begin.
#pragma once
#include <cstdint>

// In each variant its own copy: one that was compiled for a better processor must not be shared.
#define ATTENTION_INLINE inline __attribute__((always_inline))

namespace attention {

constexpr int64_t kBlock = 64;   // keys that are packed and multiplied in one go
constexpr int64_t kRows = 256;   // queries of one head of keys that share a packed block, about
constexpr int64_t kWidest = 256;  // numbers in a head at most

enum Type : int64_t { kFloat32 = 0, kBFloat16 = 1, kInt8 = 2 };

// The queries of one row of a batch, and its cache. Addresses are numbers, so that a caller fills words in one go.
struct Sequence {
  int64_t query;                       // its first head's first token
  int64_t out;                         // (tokens, heads, width), contiguous
  int64_t keys, values;                // their first head's row of the position `first`; rows are contiguous
  int64_t key_scales, value_scales;    // as keys; 0 where they are no codes
  int64_t head_stride, scale_stride;   // from head to head of the keys and values, of the scales; in elements
  int64_t first, start;                // position of the first key, and of the first query
};

// What a caller fills in.
struct Call {
  int64_t variant, threads;
  int64_t count;             // of sequences
  int64_t type, cache_type;  // of queries and results; of keys and values
  int64_t heads, kv_heads, tokens, width;
  int64_t query_head, query_token;  // strides of the queries, in elements
  int64_t window;                   // tokens that a query sees, itself among them; 0: all
  double scale;                     // what scores are multiplied with before their softmax
};

struct Keep {
  int64_t from, from_type, head_stride, step_stride;  // strides in elements
  int64_t codes, scales, code_stride, scale_stride;   // from head to head
  int64_t heads, steps, width, threads;
};

struct Job : Call {
  const Sequence *sequences;

  ATTENTION_INLINE const Sequence &sequence(int64_t index) const { return sequences[index]; }
  ATTENTION_INLINE int64_t group() const { return heads / kv_heads; }  // queries that share a head of keys
  ATTENTION_INLINE int64_t tile() const { return group() < kRows ? kRows / group() : 1; }
  ATTENTION_INLINE int64_t tiles() const { return (tokens + tile() - 1) / tile(); }
  ATTENTION_INLINE int64_t units() const { return count * kv_heads * tiles(); }
  ATTENTION_INLINE int64_t first_seen(int64_t position) const { return window && position >= window ? position - window + 1 : 0; }
};

struct Variant {
  const char *name;
  // Computes units `begin` to `end - 1`; returns false if there is no memory for it.
  bool (*run)(const Job &job, int64_t begin, int64_t end);
};

// Null where the compiler had no such instructions.
extern const Variant *const kAvx512Bf16, *const kAvx512, *const kAvx2, *const kPortable;

}  // namespace attention

extern "C" {
int attention_attend(const attention::Call *call, const attention::Sequence *sequences);
void attention_keep(attention::Keep *keep);
}
