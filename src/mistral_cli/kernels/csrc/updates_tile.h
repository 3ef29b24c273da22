// Low-rank updates, written once for every instruction set, by vectors as wide as the file is compiled for.
#pragma once
#include <cstring>
#include <utility>

#include "unroll.h"
#include "updates.h"

namespace {

#if defined(__AVX512F__)
constexpr int kWide = 16, kTileRows = 6, kTileRanks = 4, kTileVectors = 4;
#elif defined(__AVX2__)
constexpr int kWide = 8, kTileRows = 2, kTileRanks = 2, kTileVectors = 4;
#else
constexpr int kWide = 4, kTileRows = 2, kTileRanks = 2, kTileVectors = 4;
#endif
typedef float Wide __attribute__((vector_size(4 * kWide)));

constexpr int kStreams = 8;  // ranks that one row reads side by side: memory gives most to several streams

inline Wide read_wide(const float *from) {
  Wide values;
  std::memcpy(&values, from, sizeof(values));
  return values;
}

inline void write_wide(float *to, const Wide &values) { std::memcpy(to, &values, sizeof(values)); }

template <int R, int C>
void descend_tile(const float *x, const float *down, int64_t inputs, float factor, float *narrow, int64_t stride) {
  constexpr int kParts = updates::kPartials / kWide;
  Wide sums[R][C][kParts];
  each<R>([&](auto r) { each<C>([&](auto c) { each<kParts>([&](auto part) { sums[r][c][part] = Wide{}; }); }); });
  for (int64_t i = 0; i < inputs; i += updates::kPartials)
    each<kParts>([&](auto part) {
      Wide weights[C];
      each<C>([&](auto c) { weights[c] = read_wide(down + c * inputs + i + part * kWide); });
      each<R>([&](auto r) {
        const Wide row = read_wide(x + r * inputs + i + part * kWide);
        each<C>([&](auto c) { sums[r][c][part] += row * weights[c]; });
      });
    });
  each<R>([&](auto r) {
    each<C>([&](auto c) {
      float line[updates::kPartials];
      each<kParts>([&](auto part) { write_wide(line + part * kWide, sums[r][c][part]); });
      for (int64_t half = updates::kPartials / 2; half; half /= 2)
        for (int64_t lane = 0; lane < half; lane++) line[lane] += line[lane + half];
      narrow[r * stride + c] = line[0] * factor;
    });
  });
}

template <int R, int C>
void ascend_tile(const float *narrow, int64_t narrow_stride, const float *up, int64_t rank, float *y, int64_t stride) {
  Wide sums[R][C];
  each<R>([&](auto r) { each<C>([&](auto c) { sums[r][c] = read_wide(y + r * stride + c * kWide); }); });
  for (int64_t k = 0; k < rank; k++) {
    Wide weights[C];
    each<C>([&](auto c) { weights[c] = read_wide(up + k * stride + c * kWide); });
    each<R>([&](auto r) { each<C>([&](auto c) { sums[r][c] += narrow[r * narrow_stride + k] * weights[c]; }); });
  }
  each<R>([&](auto r) { each<C>([&](auto c) { write_wide(y + r * stride + c * kWide, sums[r][c]); }); });
}

// One row, `K` ranks at a time as long as there are as many: it reads all matrices once, so memory is the limit.
template <int K>
void ascend_alone(int64_t count, const float *narrow, const float *up, int64_t rank, float *y, int64_t stride) {
  int64_t k = 0;
  for (; k + K <= rank; k += K, up += K * stride)
    for (int64_t i = 0; i < count; i += kWide) {
      Wide sums = read_wide(y + i);
      each<K>([&](auto j) { sums += narrow[k + j] * read_wide(up + j * stride + i); });
      write_wide(y + i, sums);
    }
  if constexpr (K > 1) ascend_alone<K / 2>(count, narrow + k, up, rank - k, y, stride);
}

// Outputs that fill no vector.
inline void ascend_rest(int64_t rows, int64_t count, const float *narrow, int64_t narrow_stride, const float *up,
                        int64_t rank, float *y, int64_t stride) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t i = 0; i < count; i++)
      for (int64_t k = 0; k < rank; k++) y[r * stride + i] += narrow[r * narrow_stride + k] * up[k * stride + i];
}

// Tiles of all sizes up to the largest: `(rows - 1) * columns + columns - 1` is the place of one.
template <int... I>
constexpr auto descend_table(std::integer_sequence<int, I...>) {
  struct Table {
    void (*of[sizeof...(I)])(const float *, const float *, int64_t, float, float *, int64_t);
  };
  return Table{{descend_tile<I / kTileRanks + 1, I % kTileRanks + 1>...}};
}

template <int... I>
constexpr auto ascend_table(std::integer_sequence<int, I...>) {
  struct Table {
    void (*of[sizeof...(I)])(const float *, int64_t, const float *, int64_t, float *, int64_t);
  };
  return Table{{ascend_tile<I / kTileVectors + 1, I % kTileVectors + 1>...}};
}

inline void descend(int64_t rows, int64_t ranks, const float *x, const float *down, int64_t inputs, float factor,
                    float *narrow, int64_t narrow_stride) {
  static constexpr auto kTable = descend_table(std::make_integer_sequence<int, kTileRows * kTileRanks>());
  kTable.of[(rows - 1) * kTileRanks + ranks - 1](x, down, inputs, factor, narrow, narrow_stride);
}

inline void ascend(int64_t rows, int64_t count, const float *narrow, int64_t narrow_stride, const float *up,
                   int64_t rank, float *y, int64_t stride) {
  static constexpr auto kTable = ascend_table(std::make_integer_sequence<int, kTileRows * kTileVectors>());
  if (rows == 1) {
    const int64_t whole = count / kWide * kWide;
    ascend_alone<kStreams>(whole, narrow, up, rank, y, stride);
    return ascend_rest(1, count - whole, narrow, narrow_stride, up + whole, rank, y + whole, stride);
  }
  while (count >= kWide) {
    const int64_t vectors = count / kWide < kTileVectors ? count / kWide : kTileVectors;
    for (int64_t row = 0; row < rows; row += kTileRows) {
      const int64_t height = rows - row < kTileRows ? rows - row : kTileRows;
      kTable.of[(height - 1) * kTileVectors + vectors - 1](narrow + row * narrow_stride, narrow_stride, up, rank,
                                                           y + row * stride, stride);
    }
    up += vectors * kWide, y += vectors * kWide, count -= vectors * kWide;
  }
  ascend_rest(rows, count, narrow, narrow_stride, up, rank, y, stride);
}

constexpr updates::Kernel kUpdates = {kTileRows, kTileRanks, descend, ascend};

}  // namespace
