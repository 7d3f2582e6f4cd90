// The gradient by the weights alone, as the first layer of a network has it: sources one after the other, so that what a
// weight gets from some samples is added up in a register.
#pragma once

#include <vector>

#include "pull_back.h"

namespace SALTATION_ARCH {

template <typename T>
bool weights_alone(const saltation::Layer<T>& layer, const saltation::Gradients<T>& gradients) {
  return gradients.weight && !gradients.weight.stride && !layer.weight.stride && !layer.delay && !gradients.time &&
         gradients.limit <= 0;
}

// The arrivals of some samples by source: those of source i are at `start[i]` to before `start[i + 1]`.
template <typename T>
struct BySource {
  std::vector<T> time, x, s;
  std::vector<int32_t> sample, start;

  template <int kind>
  void read(const saltation::Layer<T>& layer, const Membrane<T, kind>& membrane, int64_t first, int64_t last) {
    start.assign(size_t(layer.sources + 2), 0), all.clear();
    for (int64_t b = first; b < last; ++b) {
      collect(layer, b, found);
      for (const Arrival<T>& arrival : found) {
        ++start[arrival.source + 2];
        all.push_back({arrival.time, arrival.source, int32_t(b - first)});
      }
    }
    for (size_t i = 2; i < start.size(); ++i) start[i] += start[i - 1];
    const size_t room = all.size() + kLanes<T>;
    time.resize(room), x.resize(room), s.resize(room), sample.resize(room);
    for (const Arrival<T>& arrival : all) {
      const int32_t to = start[arrival.source + 1]++;
      time[to] = arrival.time, sample[to] = arrival.position;
    }
    for (size_t k = 0; k < all.size(); k += kLanes<T>) {
      const Vec<T> t = load<T>(&time[k]);
      store<T>(&x[k], exponential<T>(t * membrane.rate_mem));
      if constexpr (kind >= saltation::kGeneral) store<T>(&s[k], exponential<T>(t * membrane.rate_syn));
    }
  }

 private:
  std::vector<Arrival<T>> found, all;
};

template <typename T, int kind, int registers>
void pull_back_weights(const saltation::Layer<T>& layer, const saltation::Spikes<T>& spikes, const T* cotangent,
                       const saltation::Gradients<T>& gradients) {
  constexpr int64_t samples = 2 * kSamples;
  using B = Block<T, registers>;
  const Membrane<T, kind> membrane(layer.tau_mem, layer.tau_syn);
  Packed<T> by_weight(layer.sources, layer.neurons, B::width);
  BySource<T> arrivals;
  Response<T, kind, true> response[samples][registers];
  Vec<T> time[samples][registers], force[samples][registers];
  int64_t begin = 0, end = 0;
  const auto prepare = [&](int64_t first, int64_t last) { begin = first, end = last, arrivals.read(layer, membrane, first, last); };
  each_block<T, kind, registers>(layer, samples, prepare, [&](int64_t b, const B& block, Packed<T>&, Packed<T>&) {
    unrolled<registers>([&](auto r) {
      forces(block, layer, spikes, cotangent, gradients, membrane, b, r, time[b - begin][r], force[b - begin][r]);
      response[b - begin][r].begin(membrane, time[b - begin][r]);
    });
    if (b + 1 < end) return;
    for (int64_t i = 0; i < layer.sources; ++i) {
      const int32_t first = arrivals.start[i], last = arrivals.start[i + 1];
      T* const to = by_weight.row(block.number, i);
      Vec<T> total[registers];
      unrolled<registers>([&](auto r) { total[r] = load<T>(to + r * kLanes<T>); });
      for (int32_t k = first; k < last; ++k) {
        const int32_t l = arrivals.sample[k];
        unrolled<registers>([&](auto r) {
          const Vec<T> u = time[l][r] - arrivals.time[k];
          const Vec<T> kappa = response[l][r].to(membrane, u, arrivals.x[k], arrivals.s[k]).k;
          total[r] += force[l][r] * larger<T>(kappa, Vec<T>{});
        });
      }
      unrolled<registers>([&](auto r) { store<T>(to + r * kLanes<T>, total[r]); });
    }
  });
  by_weight.add_to(gradients.weight.data, layer.neurons);
}

}  // namespace SALTATION_ARCH
