// Whole layers of a decoder in one call: between two products nothing but the next line. A decode step reads gigabytes
// of weights past the caches of the processor, so that everything else it touches, an interpreter above all, comes from
// memory each time.
#include <chrono>
#include <cstdlib>
#include <initializer_list>

#include "attention.h"
#include "elementwise.h"
#include "products.h"

namespace {

// Weights in 4 bits, see products::Call, and what is added to their product, see updates::Call.
struct Matrix {
  int64_t nibbles, scales, nested, levels, outputs, inputs;
  double step;
  int64_t updates, updates_count;
};

struct Layer {
  Matrix query, key, value, out, gate, up, down;
  int64_t before, before_type, after, after_type;  // weights of the norms before attention and the feed-forward block
  double before_eps, after_eps;
  int64_t window;  // 0: none
};

// One row of the batch: where it is, and the cosines and sines (T, D) of its positions.
struct Row {
  int64_t start, cos, sin;
};

// A row's cache of one layer: keys and values (H_kv, slots, D).
struct Cache {
  int64_t keys, values, head_stride;                // in elements
  int64_t key_scales, value_scales, scale_stride;  // 0 where there are no codes
  int64_t first;                                   // position of slot 0
};

struct Pass {
  int64_t variant, attention_variant, threads;
  int64_t layers, count;  // address of that many `Layer`s
  int64_t rows, batch;    // address of that many `Row`s
  int64_t caches;         // address of (count, batch) `Cache`s
  int64_t cache_type;
  int64_t stream;   // (batch, tokens, dim) in float, in and out
  int64_t scratch;  // `floats()` of them
  int64_t tokens, dim, hidden_dim, heads, kv_heads, width;

  int64_t all() const { return batch * tokens; }
  int64_t query_dim() const { return heads * width; }
  int64_t kv_dim() const { return kv_heads * width; }
};

struct Scratch {
  float *normed, *query, *key, *value, *heads, *gate, *up;

  explicit Scratch(const Pass &pass) {
    normed = reinterpret_cast<float *>(pass.scratch);
    query = normed + pass.all() * pass.dim;
    heads = query + pass.all() * pass.query_dim();
    key = heads + pass.all() * pass.query_dim();
    value = key + pass.all() * pass.kv_dim();
    gate = value + pass.all() * pass.kv_dim();
    up = gate + pass.all() * pass.hidden_dim;
  }
};

// Nanoseconds spent in products, in attention and in everything else of a layer; null where nobody asks.
enum Part { kProducts, kAttention, kRest, kParts };
int64_t *watched = nullptr;

// Counts from where the last one ended.
struct Clock {
  int64_t last;

  static int64_t now() {
    const auto time = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
  }
  Clock() : last(watched ? now() : 0) {}
  void count(Part part) {
    if (!watched) return;
    const int64_t time = now();
    watched[part] += time - last;
    last = time;
  }
};

int64_t address(const void *pointer) { return reinterpret_cast<int64_t>(pointer); }

// What each of `count` matrices, and the updates beside it, makes of the same rows.
bool multiply(const Pass &pass, const float *x, int count, const Matrix *const *matrices, float *const *results) {
  products::Call calls[3] = {};
  updates::Call added[3] = {};
  int64_t updates = 0;
  for (int i = 0; i < count; i++) {
    const Matrix &matrix = *matrices[i];
    products::Call &call = calls[i];
    call.variant = pass.variant, call.threads = pass.threads;
    call.x = address(x), call.x_stride = matrix.inputs, call.x_type = products::kFloat32;
    call.y = address(results[i]), call.y_type = products::kFloat32;
    call.rows = pass.all(), call.outputs = matrix.outputs, call.inputs = matrix.inputs;
    call.nibbles = matrix.nibbles, call.scales = matrix.scales, call.nested = matrix.nested;
    call.levels = matrix.levels, call.step = matrix.step;
    added[i] = {pass.variant, pass.threads, call.x, call.y, call.rows, call.outputs, call.inputs, matrix.updates,
                matrix.updates_count};
    updates += matrix.updates_count;
  }
  return products_joined(calls, count) == 0 && (!updates || updates_add(added, count) == 0);
}

bool multiply(const Pass &pass, const float *x, const Matrix &matrix, float *y) {
  const Matrix *const matrices[] = {&matrix};
  float *const results[] = {y};
  return multiply(pass, x, 1, matrices, results);
}

void normalize(const Pass &pass, int64_t weight, int64_t type, double eps, float *to) {
  const elementwise::Norm norm = {pass.stream, products::kFloat32, weight,       type, address(to),
                                  pass.all(),  pass.dim,           pass.threads, eps};
  elementwise_norm(&norm);
}

void add(const Pass &pass, const float *change) {
  float *stream = reinterpret_cast<float *>(pass.stream);
  for (int64_t i = 0; i < pass.all() * pass.dim; i++) stream[i] += change[i];
}

elementwise::Heads heads_of(const Pass &pass, float *from, int64_t heads) {
  return {address(from), products::kFloat32, pass.width, heads * pass.width, address(from), products::kFloat32,
          pass.width,    heads * pass.width, heads};
}

void write_codes(const Pass &pass, const elementwise::Heads &heads, int64_t codes, int64_t scales, int64_t slot,
                 const Cache &cache) {
  attention::Keep keep = {heads.from,
                          attention::kFloat32,
                          heads.head_stride,
                          heads.step_stride,
                          codes + slot * pass.width,
                          scales + slot * static_cast<int64_t>(sizeof(float)),
                          cache.head_stride,
                          cache.scale_stride,
                          heads.heads,
                          pass.tokens,
                          pass.width,
                          pass.threads};
  attention_keep(&keep);
}

// Turns queries and keys in place; keys and values go into the row's cache.
void place(const Pass &pass, const Scratch &scratch, const Cache &cache, int64_t row) {
  const Row &where = reinterpret_cast<const Row *>(pass.rows)[row];
  const int64_t kv = row * pass.tokens * pass.kv_dim(), slot = where.start - cache.first;
  elementwise::Place place = {heads_of(pass, scratch.query + row * pass.tokens * pass.query_dim(), pass.heads),
                              heads_of(pass, scratch.key + kv, pass.kv_heads),
                              heads_of(pass, scratch.value + kv, pass.kv_heads),
                              where.cos,
                              where.sin,
                              pass.tokens,
                              pass.width,
                              pass.threads};
  if (pass.cache_type == attention::kInt8) {
    elementwise_place(&place);
    write_codes(pass, place.key, cache.keys, cache.key_scales, slot, cache);
    write_codes(pass, place.value, cache.values, cache.value_scales, slot, cache);
    return;
  }
  place.key.to = cache.keys, place.value.to = cache.values;
  for (elementwise::Heads *heads : {&place.key, &place.value}) {
    heads->to += slot * pass.width * (pass.cache_type == attention::kFloat32 ? 4 : 2);
    heads->to_type = pass.cache_type, heads->to_head_stride = cache.head_stride, heads->to_step_stride = pass.width;
  }
  elementwise_place(&place);
}

bool attend(const Pass &pass, const Layer &layer, const Scratch &scratch, const Cache *caches,
            attention::Sequence *sequences) {
  for (int64_t row = 0; row < pass.batch; row++) {
    const int64_t at = row * pass.tokens * pass.query_dim();
    const Cache &cache = caches[row];
    sequences[row] = {address(scratch.query + at),
                      address(scratch.heads + at),
                      cache.keys,
                      cache.values,
                      cache.key_scales,
                      cache.value_scales,
                      cache.head_stride,
                      cache.scale_stride,
                      cache.first,
                      reinterpret_cast<const Row *>(pass.rows)[row].start};
  }
  attention::Call call = {};
  call.variant = pass.attention_variant, call.threads = pass.threads, call.count = pass.batch;
  call.type = attention::kFloat32, call.cache_type = pass.cache_type;
  call.heads = pass.heads, call.kv_heads = pass.kv_heads, call.tokens = pass.tokens, call.width = pass.width;
  call.query_head = pass.width, call.query_token = pass.query_dim();
  call.window = layer.window;
  call.scale = 1.0 / __builtin_sqrt(static_cast<double>(pass.width));
  return attention_attend(&call, sequences) == 0;
}

bool compute(const Pass &pass, const Layer &layer, const Cache *caches, const Scratch &scratch,
             attention::Sequence *sequences) {
  Clock clock;
  normalize(pass, layer.before, layer.before_type, layer.before_eps, scratch.normed);
  clock.count(kRest);
  const Matrix *const into[] = {&layer.query, &layer.key, &layer.value}, *const wide[] = {&layer.gate, &layer.up};
  float *const states[] = {scratch.query, scratch.key, scratch.value}, *const branches[] = {scratch.gate, scratch.up};
  if (!multiply(pass, scratch.normed, 3, into, states)) return false;
  clock.count(kProducts);
  for (int64_t row = 0; row < pass.batch; row++) place(pass, scratch, caches[row], row);
  clock.count(kRest);
  if (!attend(pass, layer, scratch, caches, sequences)) return false;
  clock.count(kAttention);
  if (!multiply(pass, scratch.heads, layer.out, scratch.normed)) return false;
  clock.count(kProducts);
  add(pass, scratch.normed);
  normalize(pass, layer.after, layer.after_type, layer.after_eps, scratch.normed);
  clock.count(kRest);
  if (!multiply(pass, scratch.normed, 2, wide, branches)) return false;
  clock.count(kProducts);
  const elementwise::Gate gate = {address(scratch.gate), address(scratch.up), pass.all() * pass.hidden_dim,
                                  pass.threads};
  elementwise_gate(&gate);
  clock.count(kRest);
  if (!multiply(pass, scratch.gate, layer.down, scratch.normed)) return false;
  clock.count(kProducts);
  add(pass, scratch.normed);
  clock.count(kRest);
  return true;
}

}  // namespace

extern "C" {

// Adds to `times` (products, attention, everything else; nanoseconds) from now on; null to stop.
void layers_watch(int64_t *times) { watched = times; }

// Returns 0, or 1 if there is no memory for what is computed on the way.
int layers_pass(const Pass *pass) {
  const Scratch scratch(*pass);
  const Layer *layers = reinterpret_cast<const Layer *>(pass->layers);
  const Cache *caches = reinterpret_cast<const Cache *>(pass->caches);
  auto *sequences = static_cast<attention::Sequence *>(std::malloc(pass->batch * sizeof(attention::Sequence)));
  bool done = sequences != nullptr;
  for (int64_t i = 0; done && i < pass->count; i++)
    done = compute(*pass, layers[i], caches + i * pass->batch, scratch, sequences);
  std::free(sequences);
  return done ? 0 : 1;
}

}  // extern "C"
