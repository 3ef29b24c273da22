// The product, written once for every instruction set and precision. V gives the vectors:
//
//   Precision                   Coarse or Fine, see rounding.h
//   kLanes                      outputs in a vector
//   kOffset                     what is added to a level to have it unsigned, 0 where levels stay signed
//   kRows, kVectors             the largest tile for many rows, filling the registers with sums and totals
//   kDirectRows, kDirectVectors the same for a tile that decodes as it multiplies
//   Sums, Floats, Weights       kLanes of int32, of float, of the decoded weights of one part of a step
//   Decoder(levels)             .weights<k>(bytes): a quarter or a half of 4 * kLanes bytes of nibbles to weights
//   look_up(levels, codes, n, to)  what the codes of n groups' scales stand for, kLanes of them a group, in bfloat16
//   restored(levels, sizes, offset)  scales that were quantized again
//   dot(sums, weights, word)    adds to each lane the products of its weights and the activations in `word`
//
// Few rows decode in registers: it is the memory that limits. Many decode a panel of weights once into the first-level
// cache, and every tile of rows passes over it.
#pragma once
#include "rounding.h"
#include "unroll.h"
#include "updates_tile.h"

namespace {

constexpr int64_t kRowsAtOnce = 192;  // rows whose totals wait in the cache while panels pass
constexpr int64_t kAhead = 4096;      // bytes between what is read and what is fetched
constexpr int64_t kPage = 4096;       // one line of a page is fetched long before: its address is translated in time
constexpr int64_t kPagesAhead = 4;

template <class V>
constexpr int64_t kPanelGroups = 8 / V::Precision::kParts;

// Where a unit's vectors read: blocks past the last one read it again, and `store` drops them.
template <class V>
struct Place {
  int64_t block, offset;

  Place(const Job &job, int64_t unit_outputs, int64_t unit, int vector) {
    const int64_t output = unit * unit_outputs + vector * V::kLanes, last = job.blocks() - 1;
    block = output / kBlock < last ? output / kBlock : last;
    offset = output % kBlock;
  }
  const uint8_t *nibbles(const Job &job) const { return job.nibbles + block * job.groups() * kGroupBytes + 4 * offset; }
  int64_t first_scale(const Job &job) const { return block * job.groups() * kBlock + offset; }
};

// What the codes of so many groups stand for, in bfloat16.
template <int lanes>
inline void look_up_each(const Levels &levels, const uint8_t *codes, int64_t groups, uint16_t *found) {
  for (int64_t group = 0; group < groups; group++)
    for (int lane = 0; lane < lanes; lane++) {
      const uint8_t code = codes[group * kBlock + lane];
      found[group * lanes + lane] = static_cast<uint16_t>(levels.scales[0][code] | levels.scales[1][code] << 8);
    }
}

// The scales of a vector of outputs, to be asked for from the first group on.
template <class V>
struct Scales {
  const uint16_t *narrow;
  const uint8_t *codes;
  int64_t output, within;  // the latter: bits of a group's number that are 0 where a run may begin
  typename V::Floats sizes;
  alignas(64) uint16_t found[kLooked * V::kLanes];

  void start(const Job &job, const Place<V> &place) {
    narrow = static_cast<const uint16_t *>(job.scales) + place.first_scale(job);
    codes = static_cast<const uint8_t *>(job.scales) + place.first_scale(job);
    output = place.block * kBlock + place.offset, within = job.steady() - 1;
  }
  typename V::Floats of(const Job &job, int64_t group) {
    if (!job.nested) return V::scales(narrow + group * kBlock);
    if (group % kLooked == 0) {
      const int64_t left = job.groups() - group;
      V::look_up(*job.levels, codes + group * kBlock, left < kLooked ? left : kLooked, found);
    }
    if ((group & within) == 0) {
      alignas(64) float line[V::kLanes];
      for (int lane = 0; lane < V::kLanes; lane++) line[lane] = job.size(output + lane, group);
      sizes = V::read(line);
    }
    return V::restored(V::scales(found + group % kLooked * V::kLanes), sizes, *job.nested);
  }
};

inline void store(const Job &job, int64_t row, int64_t output, const float *totals, int64_t count) {
  if (output + count > job.outputs) count = job.outputs - output;
  const int64_t at = row * job.outputs + output;
  if (job.y_type == kFloat32) {
    for (int64_t i = 0; i < count; i++) static_cast<float *>(job.y)[at + i] = totals[i];
  } else {
    for (int64_t i = 0; i < count; i++) static_cast<uint16_t *>(job.y)[at + i] = narrow(totals[i]);
  }
}

// Integer sums may be taken apart at will: for few rows in two chains, so that none waits for the one before.
template <class V, int R>
void multiply_direct(const Job &job, int64_t start, int64_t unit) {
  constexpr int C = V::kDirectVectors, kParts = V::Precision::kParts, kChains = R <= 4 ? 2 : 1;
  constexpr int64_t kOutputs = C * V::kLanes;
  const typename V::Decoder decoder(*job.levels);
  const int64_t groups = job.groups();
  const int32_t *words = job.codes + start * groups * V::Precision::kWords, *biases = job.biases + start * groups;
  const float *steps = job.steps + start * groups;
  const uint8_t *nibbles[C];
  Scales<V> scales[C];
  typename V::Floats totals[R][C];
  each<C>([&](auto c) {
    const Place<V> place(job, kOutputs, unit, c);
    nibbles[c] = place.nibbles(job), scales[c].start(job, place);
    each<R>([&](auto r) { totals[r][c] = V::floats(0.0f); });
  });
  for (int64_t group = 0; group < groups; group++) {
    if (group % (kPage / kGroupBytes) == 0)
      each<C>([&](auto c) { __builtin_prefetch(nibbles[c] + group * kGroupBytes + kPagesAhead * kPage, 0, 1); });
    typename V::Sums sums[kChains][R][C];
    each<kChains>([&](auto chain) {
      each<R>([&](auto r) {
        each<C>([&](auto c) { sums[chain][r][c] = V::sums(chain ? 0 : biases[group * R + r]); });
      });
    });
    for (int step = 0; step < kSteps; step++, words += kParts * R) {
      each<C>([&](auto c) {
        const uint8_t *bytes = nibbles[c] + group * kGroupBytes + step * 64;
        __builtin_prefetch(bytes + kAhead, 0, 0);  // past the larger caches: it is read once a token
        each<kParts>([&](auto part) {
          const typename V::Weights weights = decoder.template weights<part>(bytes);
          each<R>([&](auto r) {
            auto &sum = sums[part % kChains][r][c];
            sum = V::dot(sum, weights, words[part * R + r]);
          });
        });
      });
    }
    each<C>([&](auto c) {
      const typename V::Floats scale = scales[c].of(job, group);
      each<R>([&](auto r) {
        if constexpr (kChains == 2) sums[0][r][c] = V::plus(sums[0][r][c], sums[1][r][c]);
        totals[r][c] = V::add(totals[r][c], sums[0][r][c], V::times(scale, steps[group * R + r]));
      });
    });
  }
  each<R>([&](auto r) {
    alignas(64) float line[kOutputs];
    each<C>([&](auto c) { V::write(line + c * V::kLanes, totals[r][c]); });
    store(job, start + r, unit * kOutputs, line, kOutputs);
  });
}

// Adds the panel's groups to the totals of one tile of rows.
template <class V, int R>
void multiply_panel(const Job &job, int64_t start, int64_t first, int64_t last, const typename V::Panel *panel,
                    const float *scales, float *totals) {
  constexpr int C = V::kVectors;
  constexpr int kWords = V::Precision::kWords;
  const int32_t *words = job.codes + start * job.groups() * kWords + first * kWords * R;
  const int32_t *biases = job.biases + start * job.groups();
  const float *steps = job.steps + start * job.groups();
  typename V::Floats sofar[R][C];
  each<R>([&](auto r) { each<C>([&](auto c) { sofar[r][c] = V::read(totals + (r * C + c) * V::kLanes); }); });
  for (int64_t group = first; group < last; group++) {
    typename V::Sums sums[R][C];
    each<R>([&](auto r) { each<C>([&](auto c) { sums[r][c] = V::sums(biases[group * R + r]); }); });
    for (int word = 0; word < kWords; word++, words += R, panel += C) {
      typename V::Weights weights[C];
      each<C>([&](auto c) { weights[c] = V::load(panel[c]); });
      each<R>([&](auto r) { each<C>([&](auto c) { sums[r][c] = V::dot(sums[r][c], weights[c], words[r]); }); });
    }
    each<C>([&](auto c) {
      const typename V::Floats scale = V::read(scales + ((group - first) * C + c) * V::kLanes);
      each<R>([&](auto r) { sofar[r][c] = V::add(sofar[r][c], sums[r][c], V::times(scale, steps[group * R + r])); });
    });
  }
  each<R>([&](auto r) { each<C>([&](auto c) { V::write(totals + (r * C + c) * V::kLanes, sofar[r][c]); }); });
}

template <class V, int... R>
constexpr auto direct_table(std::integer_sequence<int, R...>) {
  struct Table {
    void (*of[sizeof...(R) + 1])(const Job &, int64_t, int64_t);
  };
  return Table{{nullptr, multiply_direct<V, R + 1>...}};
}

template <class V, int... R>
constexpr auto panel_table(std::integer_sequence<int, R...>) {
  struct Table {
    void (*of[sizeof...(R) + 1])(const Job &, int64_t, int64_t, int64_t, const typename V::Panel *,
                                 const float *, float *);
  };
  return Table{{nullptr, multiply_panel<V, R + 1>...}};
}

template <class V>
void decode_panel(const typename V::Decoder &decoder, const uint8_t *const *nibbles, int64_t first, int64_t last,
                  typename V::Panel *panel) {
  constexpr int C = V::kVectors, kParts = V::Precision::kParts;
  for (int64_t step = first * kSteps; step < last * kSteps; step++, panel += kParts * C)
    for (int c = 0; c < C; c++) {
      const uint8_t *bytes = nibbles[c] + step * 64;
      __builtin_prefetch(bytes + kPanelGroups<V> * kGroupBytes);  // the next panel arrives while this one is multiplied
      each<kParts>([&](auto part) { V::keep(panel[part * C + c], decoder.template weights<part>(bytes)); });
    }
}

template <class V>
void multiply_tiled(const Job &job, const Tiles &tiles, int64_t unit) {
  constexpr int C = V::kVectors;
  constexpr int64_t kOutputs = C * V::kLanes, kTilesAtOnce = kRowsAtOnce / V::kRows;
  static constexpr auto kTable = panel_table<V>(std::make_integer_sequence<int, V::kRows>());
  alignas(64) typename V::Panel panel[kPanelGroups<V> * V::Precision::kWords * C];
  alignas(64) float panel_scales[kPanelGroups<V> * kOutputs], totals[kRowsAtOnce * kOutputs];
  const typename V::Decoder decoder(*job.levels);
  const uint8_t *nibbles[C];
  Scales<V> scales[C];
  for (int c = 0; c < C; c++) {
    const Place<V> place(job, kOutputs, unit, c);
    nibbles[c] = place.nibbles(job), scales[c].start(job, place);
  }
  for (int64_t tile = 0; tile < tiles.count; tile += kTilesAtOnce) {
    const int64_t end = tile + kTilesAtOnce < tiles.count ? tile + kTilesAtOnce : tiles.count;
    const int64_t start = tiles.start(tile), rows = tiles.start(end) - start;
    std::memset(totals, 0, rows * kOutputs * sizeof(float));
    for (int64_t first = 0; first < job.groups(); first += kPanelGroups<V>) {
      const int64_t last = first + kPanelGroups<V> < job.groups() ? first + kPanelGroups<V> : job.groups();
      decode_panel<V>(decoder, nibbles, first, last, panel);
      for (int64_t group = first; group < last; group++)
        for (int c = 0; c < C; c++)
          V::write(panel_scales + ((group - first) * C + c) * V::kLanes, scales[c].of(job, group));
      for (int64_t t = tile; t < end; t++)
        kTable.of[tiles.rows(t)](job, tiles.start(t), first, last, panel, panel_scales,
                                 totals + (tiles.start(t) - start) * kOutputs);
    }
    for (int64_t row = 0; row < rows; row++)
      store(job, start + row, unit * kOutputs, totals + row * kOutputs, kOutputs);
  }
}

template <class V>
void multiply(const Job &job, const Tiles &tiles, int64_t unit) {
  static constexpr auto kTable = direct_table<V>(std::make_integer_sequence<int, V::kDirectRows>());
  if (!tiles.direct) return multiply_tiled<V>(job, tiles, unit);
  for (int64_t tile = 0; tile < tiles.count; tile++) kTable.of[tiles.rows(tile)](job, tiles.start(tile), unit);
}

template <class V>
constexpr Kernel kernel() {
  return {kGroup / V::Precision::kWords,
          V::kDirectRows,
          V::kRows,
          V::kDirectVectors * V::kLanes,
          V::kVectors * V::kLanes,
          quantize_tile<typename V::Precision, V::kOffset>,
          multiply<V>};
}

template <class CoarseV, class FineV>
constexpr Variant variant(const char *name) {
  return {name, kernel<CoarseV>(), kernel<FineV>(), encode_group, kUpdates};
}

}  // namespace
