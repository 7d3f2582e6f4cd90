// Whole networks for callers that hold the memory themselves: one call for a pass. `saltation_delgrad/_host.py` lays out
// the same structures.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "functions.h"

namespace {

// A population, and its only connection.
struct Stage {
  int64_t source;  // the stage whose spikes arrive, -1 for the input; one before this
  int64_t sources, neurons;
  int64_t weight;  // which of the arrays, `[sources, neurons]`
  int64_t delay;   // which of the arrays, -1 for none: raw numbers, of which each sets a delay above `minimum`
  int64_t part;    // what has delays of its own: 0 sources, 1 neurons, 2 synapses
  int64_t positive;
  int64_t kind;
  double minimum, scale, shift, tau_mem, tau_syn, threshold;

  int64_t synapses() const { return sources * neurons; }
  int64_t delays() const { return delay < 0 ? 0 : part == 0 ? sources : part == 1 ? neurons : synapses(); }

  // The operand of a layer, or of its gradients, that belongs to these delays.
  template <typename Fields>
  auto& late(Fields& fields) const {
    return part == 0 ? fields.axonal : part == 1 ? fields.dendritic : fields.delay;
  }
};

// How raw numbers are made positive, as the classes of saltation do of these names.
enum Positive : int64_t { kClip = 0, kSoftplus = 1, kSigmoid = 2 };

template <typename T>
T delay_of(const Stage& stage, T raw) {
  const T scale = T(stage.scale), minimum = T(stage.minimum);
  switch (stage.positive) {
    case kSoftplus: return scale * (std::max(raw / scale, T(0)) + std::log1p(std::exp(-std::abs(raw / scale)))) + minimum;
    case kSigmoid: return scale / (1 + std::exp(T(stage.shift) - raw)) + minimum;
    default: return std::max(raw, T(0)) + minimum;
  }
}

template <typename T>
T slope_of_delay(const Stage& stage, T raw) {
  const T scale = T(stage.scale);
  const T risen = 1 / (1 + std::exp(stage.positive == kSigmoid ? T(stage.shift) - raw : -raw / scale));
  switch (stage.positive) {
    case kSoftplus: return risen;
    case kSigmoid: return scale * risen * (1 - risen);
    default: return T(raw >= 0);
  }
}

struct Network {
  int64_t number, output;  // how many stages, and of which one the spikes are wanted
  const Stage* stages;
  double t1, limit;
};

template <typename T>
struct Batch {
  const Network& network;
  int64_t size;
  const T* const* arrays;
  const T* times;  // [size, inputs]
  T* spikes;       // of each stage [2, size, neurons]: times and slopes

  // Calls `visit(stage, layer, spikes)` for each stage, in order or backwards.
  template <typename Visit>
  void each_stage(bool backwards, Visit visit) const {
    std::vector<T*> found(size_t(network.number));
    T* next = spikes;
    for (int64_t s = 0; s < network.number; ++s) found[s] = next, next += 2 * size * network.stages[s].neurons;
    for (int64_t k = 0; k < network.number; ++k) {
      const int64_t s = backwards ? network.number - 1 - k : k;
      const Stage& stage = network.stages[s];
      saltation::Layer<T> layer{};
      layer.batch = size, layer.arrivals = layer.sources = stage.sources, layer.neurons = stage.neurons;
      layer.time = {stage.source < 0 ? times : found[stage.source], size > 1 ? stage.sources : 0};
      layer.weight = {arrays[stage.weight], 0};
      std::vector<T> delays(size_t(stage.delays()));
      for (size_t e = 0; e < delays.size(); ++e) delays[e] = delay_of(stage, arrays[stage.delay][e]);
      if (stage.delay >= 0) stage.late(layer) = {delays.data(), 0};
      layer.kind = int32_t(stage.kind), layer.tau_mem = stage.tau_mem, layer.tau_syn = stage.tau_syn;
      layer.threshold = stage.threshold, layer.t1 = network.t1;
      visit(s, layer, saltation::Spikes<T>{found[s], found[s] + size * stage.neurons});
    }
  }
};

template <typename T, typename Good>
bool all(const T* values, int64_t number, Good good) {
  bool yes = true;
  for (int64_t k = 0; k < number; ++k) yes &= good(values[k]);
  return yes;
}

// Whether times are not negative and the arrays finite; only then are there spikes. A NaN is neither.
template <typename T>
bool forward(const Batch<T>& batch) {
  bool good = true;
  constexpr T largest = std::numeric_limits<T>::max();
  const auto finite = [](T value) { return (value <= largest) & (value >= -largest); };
  for (int64_t s = 0; s < batch.network.number; ++s) {
    const Stage& stage = batch.network.stages[s];
    good &= all(batch.arrays[stage.weight], stage.synapses(), finite);
    if (stage.delay >= 0) good &= all(batch.arrays[stage.delay], stage.delays(), finite);
    if (stage.source < 0) good &= all(batch.times, batch.size * stage.sources, [](T time) { return time >= 0; });
  }
  if (good) {
    batch.each_stage(false, [](int64_t, const auto& layer, auto spikes) { saltation::functions<T>().search(layer, spikes); });
  }
  return good;
}

// From the gradient by the spikes of the output to those by the arrays and by the times; null for what is not wanted.
template <typename T>
void backward(const Batch<T>& batch, const T* cotangent, T* const* by_arrays, T* by_times) {
  const Network& network = batch.network;
  std::vector<std::vector<T>> by_spikes(size_t(network.number));
  for (int64_t s = 0; s < network.number; ++s) {
    const Stage& stage = network.stages[s];
    by_spikes[s].resize(size_t(batch.size * stage.neurons));
    if (T* const to = by_arrays[stage.weight]) std::fill_n(to, stage.synapses(), T(0));
    if (T* const to = stage.delay < 0 ? nullptr : by_arrays[stage.delay]) std::fill_n(to, stage.delays(), T(0));
    if (by_times && stage.source < 0) std::fill_n(by_times, batch.size * stage.sources, T(0));
  }
  std::copy_n(cotangent, by_spikes[network.output].size(), by_spikes[network.output].data());
  batch.each_stage(true, [&](int64_t s, const auto& layer, auto spikes) {
    const Stage& stage = network.stages[s];
    saltation::Gradients<T> gradients{};
    T* const by_sent = stage.source < 0 ? by_times : by_spikes[stage.source].data();
    if (by_sent) gradients.time = {by_sent, layer.time.stride};
    gradients.weight = {by_arrays[stage.weight], 0};
    gradients.limit = network.limit;
    T* const by_delay = stage.delay < 0 ? nullptr : by_arrays[stage.delay];
    if (by_delay) stage.late(gradients) = {by_delay, 0};
    saltation::functions<T>().pull_back(layer, spikes, by_spikes[s].data(), gradients);
    for (int64_t e = 0; by_delay && e < stage.delays(); ++e) {
      by_delay[e] *= slope_of_delay(stage, batch.arrays[stage.delay][e]);
    }
  });
}

}  // namespace

#define SALTATION_DOORS(T, suffix)                                                                                      \
  extern "C" bool saltation_forward_##suffix(const Network* network, int64_t batch, const T* const* arrays,             \
                                             const T* times, T* spikes) {                                               \
    return forward<T>({*network, batch, arrays, times, spikes});                                                        \
  }                                                                                                                     \
  extern "C" void saltation_backward_##suffix(const Network* network, int64_t batch, const T* const* arrays,            \
                                              const T* times, T* spikes, const T* cotangent, T* const* by_arrays,       \
                                              T* by_times) {                                                            \
    backward<T>({*network, batch, arrays, times, spikes}, cotangent, by_arrays, by_times);                              \
  }

SALTATION_DOORS(float, f32)
SALTATION_DOORS(double, f64)
