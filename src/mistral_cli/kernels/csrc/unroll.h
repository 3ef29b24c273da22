// Loops whose every turn is compiled apart.
#pragma once
#include <utility>

namespace {

// Calls `body(i)` for i = 0 .. N - 1, each a constant: arrays indexed by it are registers, which no loop promises.
template <int... I, class Body>
inline __attribute__((always_inline)) void each_of(std::integer_sequence<int, I...>, Body &&body) {
  (body(std::integral_constant<int, I>()), ...);
}
template <int N, class Body>
inline __attribute__((always_inline)) void each(Body &&body) {
  each_of(std::make_integer_sequence<int, N>(), body);
}

}  // namespace
