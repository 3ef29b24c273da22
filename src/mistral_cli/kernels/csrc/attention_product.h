// Products of small matrices with sums in registers, and powers of two; V is as in attention_tile.h.
#pragma once
#include <cstdint>
#include <utility>

#include "unroll.h"

namespace {

inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// 2^x for x <= 0 or NaN, within two units in the last place; where x is far below what a float can hold, 0.
template <class V>
inline typename V::Floats power(typename V::Floats x) {
  x = V::greater(V::floats(V::kLeast), x);  // NaN passes
  const typename V::Floats whole = V::nearest(x), rest = V::subtract(x, whole);
  typename V::Floats sum = V::floats(1.5403530e-4f);  // ln(2)^k / k!, k = 6 … 0
  sum = V::add(sum, rest, V::floats(1.3333558e-3f));
  sum = V::add(sum, rest, V::floats(9.6181291e-3f));
  sum = V::add(sum, rest, V::floats(5.5504109e-2f));
  sum = V::add(sum, rest, V::floats(2.4022651e-1f));
  sum = V::add(sum, rest, V::floats(6.9314718e-1f));
  sum = V::add(sum, rest, V::floats(1.0f));
  return V::shift(sum, whole);
}

// out (R, C vectors) = out * factors + a (R, steps) times b (steps, C vectors); without factors, out = a times b.
template <class V, int R, int C>
void multiply_tile(const uint32_t *a, int64_t a_stride, const uint32_t *b, int64_t b_stride, float *out,
                   int64_t out_stride, const float *factors, int64_t steps) {
  typename V::Floats sums[R][C];
  if (factors)
    each<R>([&](auto r) {
      each<C>([&](auto c) {
        sums[r][c] = V::times(V::read(out + r * out_stride + c * V::kLanes), V::floats(factors[r]));
      });
    });
  else
    each<R>([&](auto r) { each<C>([&](auto c) { sums[r][c] = V::floats(0.0f); }); });
  for (int64_t step = 0; step < steps; step++, b += b_stride) {
    typename V::Words words[C];
    each<C>([&](auto c) { words[c] = V::words(b + c * V::kLanes); });
    each<R>([&](auto r) {
      const uint32_t word = a[r * a_stride + step];
      each<C>([&](auto c) { sums[r][c] = V::dot(sums[r][c], words[c], word); });
    });
  }
  each<R>([&](auto r) { each<C>([&](auto c) { V::write(out + r * out_stride + c * V::kLanes, sums[r][c]); }); });
}

using MultiplyTile = void (*)(const uint32_t *, int64_t, const uint32_t *, int64_t, float *, int64_t, const float *,
                              int64_t);

// The one for `rows` rows.
template <class V, int C, int... R>
MultiplyTile tile_of(int64_t rows, std::integer_sequence<int, R...>) {
  static constexpr MultiplyTile kTable[] = {multiply_tile<V, R + 1, C>...};
  return kTable[rows - 1];
}

// The same for any number of rows and of whole vectors of columns.
template <class V>
void multiply(int64_t rows, int64_t columns, const uint32_t *a, int64_t a_stride, const uint32_t *b, int64_t b_stride,
              float *out, int64_t out_stride, const float *factors, int64_t steps) {
  constexpr std::make_integer_sequence<int, V::kRows> kHeights;
  for (int64_t column = 0; column < columns;) {
    const bool wide = columns - column >= V::kVectors * V::kLanes;
    for (int64_t row = 0; row < rows;) {
      const int64_t height = least(rows - row, V::kRows);
      const MultiplyTile tile = wide ? tile_of<V, V::kVectors>(height, kHeights) : tile_of<V, 1>(height, kHeights);
      tile(a + row * a_stride, a_stride, b + column, b_stride, out + row * out_stride + column, out_stride,
           factors ? factors + row : nullptr, steps);
      row += height;
    }
    column += wide ? V::kVectors * V::kLanes : V::kLanes;
  }
}

}  // namespace
