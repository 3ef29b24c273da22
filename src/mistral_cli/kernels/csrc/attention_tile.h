// Attention, written once for every instruction set. V gives the vectors of 32-bit words:
//
//   kLanes                 words in a vector
//   kNumbers               numbers in a word: one float, or two neighbours in bfloat16
//   kRows, kVectors        the largest tile of sums that the registers hold
//   Words, Floats          kLanes words, kLanes floats
//   load<type>(from)       kLanes * kNumbers numbers of a type, as words
//   transpose(rows)        kLanes vectors of kLanes words
//   pairs(one, other, to)  two rows of words -> words whose numbers come from both; for two numbers in a word only
//   dot(sums, words, word) adds to each lane the products of its numbers with those of `word`, in float
//   weigh(floats…, to)     kNumbers vectors of floats -> kLanes words; returns kLanes sums of what the words hold
//
// Queries that share a head of keys are rows of one product with a block of keys, and, once their scores are weights,
// of one with the block's values (Rabe and Staats, arXiv:2112.05682; Dao et al., arXiv:2205.14135).
#pragma once
#include <cmath>
#include <cstdlib>

#include "attention.h"
#include "attention_product.h"
#include "floats.h"
#include "unroll.h"

namespace {

using namespace attention;

constexpr float kNothing = -INFINITY;

inline int64_t rounded(int64_t count, int64_t unit) { return (count + unit - 1) / unit * unit; }
inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
constexpr int64_t size_of(int64_t type) { return type == kFloat32 ? 4 : type == kBFloat16 ? 2 : 1; }

// What one thread computes with, for one unit after the other.
template <class V>
struct Worker {
  static constexpr int64_t kVectorNumbers = V::kLanes * V::kNumbers;

  const Job &job;
  const int64_t most_rows, steps, padded_steps, columns;  // words in a row, those in memory; floats in a result
  const float scale;
  char *memory;
  uint32_t *queries, *keys, *values;                    // (rows, steps), (steps, 64), (64 / numbers, columns)
  float *scores, *results, *sums;                       // (rows, 64), then words in place; (rows, columns); (rows, lanes)
  float *highest, *factors, *key_scales, *value_scales; // (rows), (rows), (64), (64)

  explicit Worker(const Job &job)
      : job(job),
        most_rows(least(job.tile(), job.tokens) * job.group()),
        steps(rounded(job.width, V::kNumbers) / V::kNumbers),
        padded_steps(rounded(steps, V::kLanes)),
        columns(rounded(job.width, kVectorNumbers)),
        scale(static_cast<float>(job.scale * 1.4426950408889634)) {  // log2(e): weights are powers of two
    const int64_t of_row = padded_steps + kBlock + columns + V::kLanes + 2;
    const int64_t of_block = padded_steps * kBlock + kBlock / V::kNumbers * columns + 2 * kBlock;
    memory = static_cast<char *>(std::malloc((most_rows * of_row + of_block) * 4 + 64));
    if (!memory) return;
    char *aligned = memory + (64 - reinterpret_cast<uintptr_t>(memory) % 64);
    keys = reinterpret_cast<uint32_t *>(aligned);
    values = keys + padded_steps * kBlock;
    queries = values + kBlock / V::kNumbers * columns;
    scores = reinterpret_cast<float *>(queries + most_rows * padded_steps);
    results = scores + most_rows * kBlock;
    sums = results + most_rows * columns;
    key_scales = sums + most_rows * V::kLanes;
    value_scales = key_scales + kBlock;
    highest = value_scales + kBlock;
    factors = highest + most_rows;
  }
  ~Worker() { std::free(memory); }

  // Numbers `at` to `at + kVectorNumbers - 1` of a row of `width`, zero past its end.
  template <int64_t TYPE>
  static typename V::Words part_of(const char *row, int64_t at, int64_t width) {
    constexpr int64_t kSize = size_of(TYPE);
    if (at + kVectorNumbers <= width) return V::template load<TYPE>(row + at * kSize);
    alignas(64) char rest[kVectorNumbers * 4] = {};
    if (at < width) std::memcpy(rest, row + at * kSize, (width - at) * kSize);
    return V::template load<TYPE>(rest);
  }

  template <int64_t TYPE>
  void take_queries(const char *from, int64_t head, int64_t begin, int64_t end) {
    uint32_t *to = queries;
    for (int64_t token = begin; token < end; token++)
      for (int64_t member = 0; member < job.group(); member++, to += padded_steps) {
        const int64_t at = (head * job.group() + member) * job.query_head + token * job.query_token;
        for (int64_t step = 0; step < padded_steps; step += V::kLanes)
          V::keep(to + step, part_of<TYPE>(from + at * size_of(TYPE), step * V::kNumbers, job.width));
      }
  }

  // Keys `low` to `high - 1` of a block, side by side: word `step` of each. Those that nobody here sees are zero.
  // `next` is what will be read after them.
  template <int64_t TYPE>
  void pack_keys(const char *from, const char *next, int64_t low, int64_t high) {
    const int64_t width = job.width, row_bytes = width * size_of(TYPE), until = padded_steps;
    uint32_t *const to = keys;
    for (int64_t key = 0; key < kBlock; key += V::kLanes)
      for (int64_t step = 0; step < until; step += V::kLanes) {
        typename V::Words rows[V::kLanes];
        const int64_t at = step * V::kNumbers;
        if (key >= low && key + V::kLanes <= high && at + kVectorNumbers <= width)
          each<V::kLanes>([&](auto i) {
            const int64_t place = (key + i) * row_bytes + at * size_of(TYPE);
            rows[i] = V::template load<TYPE>(from + place);
            V::prefetch(next + place);
          });
        else
          for (int i = 0; i < V::kLanes; i++)
            rows[i] = key + i >= low && key + i < high ? part_of<TYPE>(from + (key + i) * row_bytes, at, width)
                                                       : V::zero();
        V::transpose(rows);
        each<V::kLanes>([&](auto i) { V::keep(to + (step + i) * kBlock + key, rows[i]); });
      }
  }

  template <int64_t TYPE>
  void pack_values(const char *from, const char *next, int64_t low, int64_t high) {
    const int64_t width = job.width, row_bytes = width * size_of(TYPE), until = columns;
    const bool whole = low <= 0 && high >= kBlock && width == until;
    const auto part = [=](int64_t key, int64_t at) {
      if (whole) return V::template load<TYPE>(from + key * row_bytes + at * size_of(TYPE));
      return key >= low && key < high ? part_of<TYPE>(from + key * row_bytes, at, width) : V::zero();
    };
    uint32_t *to = values;
    for (int64_t key = 0; key < kBlock; key += V::kNumbers)
      for (int64_t at = 0; at < until; at += kVectorNumbers) {
        for (int64_t i = 0; i < V::kNumbers; i++) V::prefetch(next + (key + i) * row_bytes + at * size_of(TYPE));
        if constexpr (V::kNumbers == 1)
          V::keep(to, part(key, at));
        else
          V::pairs(part(key, at), part(key + 1, at), to);
        to += kVectorNumbers;
      }
  }

  void take_scales(const Sequence &sequence, int64_t head, int64_t base, int64_t low, int64_t high) {
    const int64_t at = head * sequence.scale_stride + base - sequence.first;
    const float *of_keys = reinterpret_cast<const float *>(sequence.key_scales);
    const float *of_values = reinterpret_cast<const float *>(sequence.value_scales);
    for (int64_t key = 0; key < kBlock; key++) {
      const bool held = of_keys && key >= low && key < high;
      key_scales[key] = held ? of_keys[at + key] * scale : scale;
      value_scales[key] = held ? of_values[at + key] : 1.0f;
    }
  }

  // Scores of one row -> its weights, as words in place; those outside of `low` to `high - 1` become zero.
  void weigh(int64_t row, int64_t low, int64_t high, bool is_scaled) {
    constexpr int kVectors = kBlock / V::kLanes;
    float *score = scores + row * kBlock;
    typename V::Floats line[kVectors], top = V::floats(highest[row]);
    each<kVectors>([&](auto i) {
      line[i] = V::times(V::read(score + i * V::kLanes), V::read(key_scales + i * V::kLanes));
      if (low > 0 || high < kBlock) line[i] = V::within(i * V::kLanes, low, high, line[i], V::floats(kNothing));
      top = V::greater(top, line[i]);
    });
    const typename V::Floats peak = V::floats(V::greatest(top));
    each<kVectors>([&](auto i) { line[i] = power<V>(V::subtract(line[i], peak)); });
    typename V::Floats total = V::read(sums + row * V::kLanes);
    const typename V::Floats factor = power<V>(V::subtract(V::floats(highest[row]), peak));
    total = V::times(total, factor);
    if (is_scaled)
      each<kVectors>([&](auto i) {
        total = V::plus(total, line[i]);
        line[i] = V::times(line[i], V::read(value_scales + i * V::kLanes));
        if (low > 0 || high < kBlock) line[i] = V::within(i * V::kLanes, low, high, line[i], V::floats(0.0f));
      });
    uint32_t *words = reinterpret_cast<uint32_t *>(score);
    each<kVectors / V::kNumbers>([&](auto i) {
      typename V::Floats held;
      if constexpr (V::kNumbers == 1)
        held = V::weigh(line[i], words + i * V::kLanes);
      else
        held = V::weigh(line[2 * i], line[2 * i + 1], words + i * V::kLanes);
      if (!is_scaled) total = V::plus(total, held);
    });
    V::write(sums + row * V::kLanes, total);
    factors[row] = V::first(factor);
    highest[row] = V::first(peak);
  }

  // Tokens `begin` to `end - 1` of one sequence and one head of keys. Returns false where a result is not finite.
  template <int64_t TYPE>
  bool compute(const Sequence &sequence, int64_t head, int64_t begin, int64_t end) {
    const int64_t group = job.group(), rows = (end - begin) * group;
    const int64_t first = sequence.start + begin, last = sequence.start + end - 1, seen = job.first_seen(first);
    const char *query = reinterpret_cast<const char *>(sequence.query);
    if (job.type == kFloat32)
      take_queries<kFloat32>(query, head, begin, end);
    else
      take_queries<kBFloat16>(query, head, begin, end);
    for (int64_t i = 0; i < rows; i++) highest[i] = kNothing;
    std::memset(sums, 0, rows * V::kLanes * sizeof(float));
    std::memset(results, 0, rows * columns * sizeof(float));
    for (int64_t base = seen / kBlock * kBlock; base <= last; base += kBlock) {
      const int64_t low = most(seen - base, 0), high = least(last + 1 - base, kBlock);
      const int64_t at = (head * sequence.head_stride + (base - sequence.first) * job.width) * size_of(TYPE);
      const char *from_keys = reinterpret_cast<const char *>(sequence.keys + at);
      const char *from_values = reinterpret_cast<const char *>(sequence.values + at);
      const int64_t from = most(base - first, 0);
      const int64_t until = job.window ? least(base + kBlock - 1 + job.window - first, end - begin) : end - begin;
      const int64_t row = from * group, count = (until - from) * group;
      if (count <= 0) continue;
      pack_keys<TYPE>(from_keys, from_values, low, high);
      take_scales(sequence, head, base, low, high);
      multiply<V>(count, kBlock, queries + row * padded_steps, padded_steps, keys, kBlock, scores + row * kBlock,
                  kBlock, nullptr, steps);
      for (int64_t i = row; i < row + count; i++) {
        const int64_t position = first + i / group;
        weigh(i, most(job.first_seen(position) - base, 0), least(position + 1 - base, kBlock), sequence.key_scales);
      }
      pack_values<TYPE>(from_values, from_keys + kBlock * job.width * size_of(TYPE), low, high);
      multiply<V>(count, columns, reinterpret_cast<const uint32_t *>(scores + row * kBlock), kBlock, values, columns,
                  results + row * columns, columns, factors + row, kBlock / V::kNumbers);
    }
    return store(sequence, head, begin, rows);
  }

  bool store(const Sequence &sequence, int64_t head, int64_t begin, int64_t rows) const {
    uint32_t largest = 0;
    for (int64_t row = 0; row < rows; row++) {
      const int64_t token = begin + row / job.group(), at_head = head * job.group() + row % job.group();
      const int64_t at = (token * job.heads + at_head) * job.width;
      const float factor = 1.0f / V::sum(V::read(sums + row * V::kLanes));
      float *result = results + row * columns;
      for (int64_t i = 0; i < job.width; i++) {
        result[i] *= factor;
        const uint32_t magnitude = bits_of(result[i]) & 0x7fffffff;
        largest = magnitude > largest ? magnitude : largest;
      }
      if (job.type == kFloat32)
        std::memcpy(reinterpret_cast<float *>(sequence.out) + at, result, job.width * sizeof(float));
      else
        for (int64_t i = 0; i < job.width; i++) reinterpret_cast<uint16_t *>(sequence.out)[at + i] = narrow(result[i]);
    }
    return largest < 0x7f800000;
  }

  // Zero times a value that is not finite is NaN, also where the weight is zero because the query does not see it.
  // So then each token is computed by itself: what is packed for it ends with what it sees.
  template <int64_t TYPE>
  void run(int64_t unit) {
    const int64_t pairs = job.count * job.kv_heads, pair = unit % pairs;
    const int64_t tile = job.tiles() - 1 - unit / pairs;  // those that see most come first
    const Sequence &sequence = job.sequence(pair / job.kv_heads);
    const int64_t begin = tile * job.tile(), end = least(begin + job.tile(), job.tokens), head = pair % job.kv_heads;
    if (compute<TYPE>(sequence, head, begin, end) || end - begin == 1) return;
    for (int64_t token = begin; token < end; token++) compute<TYPE>(sequence, head, token, token + 1);
  }
};

template <class V, int64_t TYPE>
bool run_units_of(const Job &job, int64_t begin, int64_t end) {
  Worker<V> worker(job);
  if (!worker.memory) return false;
  for (int64_t unit = begin; unit < end; unit++) worker.template run<TYPE>(unit);
  return true;
}

template <class V>
bool run_units(const Job &job, int64_t begin, int64_t end) {
  if (job.cache_type == kInt8) return run_units_of<V, kInt8>(job, begin, end);
  if (job.cache_type == kBFloat16) return run_units_of<V, kBFloat16>(job, begin, end);
  return run_units_of<V, kFloat32>(job, begin, end);
}

}  // namespace
