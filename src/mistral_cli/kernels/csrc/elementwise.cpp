// What stands between the products: the norm, the gate, the turn to a position on the way into the cache. All in float.
//
// Every number depends on its own row alone, and sums have one order whatever the instruction set (nothing is
// contracted), so a row is the same alone and among others, on this machine and on another.
#include <cmath>

#include "elementwise.h"
#include "floats.h"
#include "products.h"

// glibc picks, when the library is loaded, the copy that the processor can run
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EACH_LEVEL __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_EACH_LEVEL
#endif

namespace {

using namespace elementwise;
using products::in_parallel;
using products::kFloat32;

constexpr int64_t kLanes = 16;          // partial sums of a row
constexpr int64_t kWidest = 1 << 12;    // numbers in a head at most
constexpr int64_t kPiece = 1 << 14;     // numbers that one thread takes at a time
constexpr int64_t kThreaded = 1 << 16;  // numbers below which waking threads costs more than it saves

// Within 1 unit in the last place for what a sigmoid needs: e^x = 2^n * e^r, |r| <= ln 2 / 2 (Cephes, expf).
inline float exponential(float x) {
  x = x > 88.0f ? 88.0f : x;  // NaN passes both
  x = x < -87.0f ? -87.0f : x;
  const float shifted = x * 1.44269504f + 12582912.0f;  // leaves no place for a fraction
  const float whole = shifted - 12582912.0f;
  const float rest = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
  float sum = 1.9875691500e-4f;
  sum = sum * rest + 1.3981999507e-3f;
  sum = sum * rest + 8.3334519073e-3f;
  sum = sum * rest + 4.1665795894e-2f;
  sum = sum * rest + 1.6666665459e-1f;
  sum = sum * rest + 5.0000001201e-1f;
  sum = sum * rest * rest + rest + 1.0f;
  return sum * float_of((bits_of(shifted) - 0x4b400000u + 127u) << 23);
}

FOR_EACH_LEVEL void norm_row(const Norm &norm, int64_t row) {
  const int64_t width = norm.width, start = row * width;
  const void *x = reinterpret_cast<const void *>(norm.x), *weight = reinterpret_cast<const void *>(norm.weight);
  float *y = reinterpret_cast<float *>(norm.y) + start;
  if (norm.x_type == kFloat32)
    std::memcpy(y, static_cast<const float *>(x) + start, width * sizeof(float));
  else
    for (int64_t i = 0; i < width; i++) y[i] = widen(static_cast<const uint16_t *>(x)[start + i]);
  float sums[kLanes] = {};
  const int64_t whole = width / kLanes * kLanes;
  for (int64_t i = 0; i < whole; i += kLanes)
    for (int64_t lane = 0; lane < kLanes; lane++) sums[lane] += y[i + lane] * y[i + lane];
  for (int64_t i = whole; i < width; i++) sums[i - whole] += y[i] * y[i];
  for (int64_t half = kLanes / 2; half; half /= 2)
    for (int64_t lane = 0; lane < half; lane++) sums[lane] += sums[lane + half];
  const float scale = 1.0f / std::sqrt(sums[0] / static_cast<float>(width) + static_cast<float>(norm.eps));
  if (norm.weight_type == kFloat32)
    for (int64_t i = 0; i < width; i++) y[i] = static_cast<const float *>(weight)[i] * (y[i] * scale);
  else
    for (int64_t i = 0; i < width; i++) y[i] = widen(static_cast<const uint16_t *>(weight)[i]) * (y[i] * scale);
}

void norm_rows(void *data, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; row++) norm_row(*static_cast<const Norm *>(data), row);
}

FOR_EACH_LEVEL void gate_piece(float *gate, const float *up, int64_t count) {
  for (int64_t i = 0; i < count; i++) gate[i] = gate[i] / (1.0f + exponential(-gate[i])) * up[i];
}

void gate_pieces(void *data, int64_t begin, int64_t end) {
  const Gate &gate = *static_cast<const Gate *>(data);
  const int64_t first = begin * kPiece, last = end * kPiece < gate.count ? end * kPiece : gate.count;
  gate_piece(reinterpret_cast<float *>(gate.gate) + first, reinterpret_cast<const float *>(gate.up) + first,
             last - first);
}

FOR_EACH_LEVEL void read(const char *from, int64_t type, float *line, int64_t count) {
  if (type == kFloat32)
    std::memcpy(line, from, count * sizeof(float));
  else
    for (int64_t i = 0; i < count; i++) line[i] = widen(reinterpret_cast<const uint16_t *>(from)[i]);
}

FOR_EACH_LEVEL void write(const float *line, char *to, int64_t type, int64_t count) {
  if (type == kFloat32)
    std::memcpy(to, line, count * sizeof(float));
  else
    for (int64_t i = 0; i < count; i++) reinterpret_cast<uint16_t *>(to)[i] = narrow(line[i]);
}

// Number i turns with number i + D/2.
FOR_EACH_LEVEL void turn(float *line, const float *cos, const float *sin, int64_t half) {
  for (int64_t i = 0; i < half; i++) {
    const float low = line[i], high = line[half + i];
    line[i] = low * cos[i] + high * sin[i];
    line[half + i] = high * cos[half + i] + low * sin[half + i];
  }
}

void place_heads(const Place &place, const Heads &heads, int64_t step, bool turned) {
  const int64_t size = heads.from_type == kFloat32 ? 4 : 2, to_size = heads.to_type == kFloat32 ? 4 : 2;
  const float *cos = reinterpret_cast<const float *>(place.cos) + step * place.width;
  const float *sin = reinterpret_cast<const float *>(place.sin) + step * place.width;
  for (int64_t head = 0; head < heads.heads; head++) {
    float line[kWidest];
    read(reinterpret_cast<const char *>(heads.from) + size * (head * heads.head_stride + step * heads.step_stride),
         heads.from_type, line, place.width);
    if (turned) turn(line, cos, sin, place.width / 2);
    write(line, reinterpret_cast<char *>(heads.to) + to_size * (head * heads.to_head_stride + step * heads.to_step_stride),
          heads.to_type, place.width);
  }
}

void place_steps(void *data, int64_t begin, int64_t end) {
  const Place &place = *static_cast<const Place *>(data);
  for (int64_t step = begin; step < end; step++) {
    place_heads(place, place.query, step, true);
    place_heads(place, place.key, step, true);
    place_heads(place, place.value, step, false);
  }
}

int threads_for(int64_t numbers, int64_t threads) { return numbers < kThreaded ? 1 : static_cast<int>(threads); }

}  // namespace

extern "C" {

void elementwise_norm(const Norm *norm) {
  in_parallel(norm->rows, 1 + norm->rows / (8 * norm->threads), threads_for(norm->rows * norm->width, norm->threads),
              norm_rows, const_cast<Norm *>(norm));
}

void elementwise_gate(const Gate *gate) {
  in_parallel((gate->count + kPiece - 1) / kPiece, 1, threads_for(gate->count, gate->threads), gate_pieces,
              const_cast<Gate *>(gate));
}

void elementwise_place(const Place *place) {
  const int64_t numbers = place->steps * place->width * (place->query.heads + 2 * place->key.heads);
  in_parallel(place->steps, 1 + place->steps / (8 * place->threads), threads_for(numbers, place->threads), place_steps,
              const_cast<Place *>(place));
}

}  // extern "C"
