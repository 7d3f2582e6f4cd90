// The gradient by what belongs to sources, weights and delays, as the first layer of a network has it: sources one after
// the other, so that what a weight gets from some samples is added up in a register.
#pragma once

#include <vector>

#include "pull_back.h"

namespace SALTATION_ARCH {

template <typename T>
bool sources_alone(const saltation::Layer<T>& layer, const saltation::Gradients<T>& gradients) {
  return gradients.weight && !gradients.weight.stride && !layer.weight.stride && !layer.delay.stride && !gradients.time &&
         !gradients.axonal.stride && !gradients.delay.stride && gradients.limit <= 0;
}

// The arrivals of some samples by source: those of source i are at `start[i]` to before `start[i + 1]`.
template <typename T>
struct BySource {
  std::vector<T> time, x, s;
  std::vector<int32_t> sample, start;

  template <int kind>
  void read(const saltation::Layer<T>& layer, const Membrane<T, kind>& membrane, int64_t first, int64_t last) {
    const T t1 = T(layer.t1);
    start.assign(size_t(layer.sources + 2), 0), found.resize(size_t(layer.arrivals * (last - first)));
    size_t number = 0;
    for (int64_t b = first; b < last; ++b) {
      layer.each_arrival(b, [&](int64_t, T time, int32_t source) {
        const bool counts = (time < t1) & (source >= 0);
        found[number] = {time, source, int32_t(b - first)};
        number += size_t(counts), start[std::max(source, 0) + 2] += counts;
      });
    }
    for (size_t i = 2; i < start.size(); ++i) start[i] += start[i - 1];
    const size_t room = number + kLanes<T>;
    time.resize(room), x.resize(room), s.resize(room), sample.resize(room);
    for (size_t k = 0; k < number; ++k) {
      const int32_t to = start[found[k].source + 1]++;
      time[to] = found[k].time, sample[to] = found[k].position;
    }
    for (size_t k = 0; k < number; k += kLanes<T>) {
      const Vec<T> t = load<T>(&time[k]);
      store<T>(&x[k], exponential<T>(t * membrane.rate_mem));
      if constexpr (kind >= saltation::kGeneral) store<T>(&s[k], exponential<T>(t * membrane.rate_syn));
    }
  }

 private:
  std::vector<Arrival<T>> found;  // `position` is the number of the sample
};

template <typename T, int kind, int registers>
void pull_back_sources(const saltation::Layer<T>& layer, const saltation::Spikes<T>& spikes, const T* cotangent,
                       const saltation::Gradients<T>& gradients) {
  constexpr int64_t samples = 2 * kSamples;
  using B = Block<T, registers>;
  const Membrane<T, kind> membrane(layer.tau_mem, layer.tau_syn);
  Packed<T> by_weight(layer.sources, layer.neurons, B::width);
  Packed<T> by_delay(gradients.delay ? layer.sources : 0, layer.neurons, B::width);
  std::vector<Vec<T>> by_axonal(gradients.axonal ? size_t(layer.sources) : 0);
  BySource<T> arrivals;
  Response<T, kind, true> response[samples][registers];
  Vec<T> time[samples][registers], force[samples][registers];
  int64_t begin = 0, end = 0;
  DelayFactors<T> late;
  const auto prepare = [&](int64_t first, int64_t last, const Packed<T>& delay) {
    begin = first, end = last, arrivals.read(layer, membrane, first, last);
    if (layer.delay && first == 0) late.read(membrane, delay.data.data(), delay.data.size(), T(layer.t1));
  };
  const bool timed = gradients.delay || gradients.axonal;
  each_block<T, kind, registers>(layer, samples, timed, prepare, [&](int64_t b, const B& block, Packed<T>& weight, Packed<T>& delay) {
    unrolled<registers>([&](auto r) {
      forces(block, layer, spikes, cotangent, gradients, membrane, b, r, time[b - begin][r], force[b - begin][r]);
      response[b - begin][r].begin(membrane, time[b - begin][r]);
    });
    if (b + 1 < end) return;
    // For each combination a loop of its own, so that sums stay in registers.
    const auto add_up = [&](auto timed, auto delayed) {
      for (int64_t i = 0; i < layer.sources; ++i) {
        const int32_t first = arrivals.start[i], last = arrivals.start[i + 1];
        T* const to = by_weight.row(block.number, i);
        Vec<T> total[registers], by_rise[registers] = {}, d[registers], x[registers], s[registers];
        unrolled<registers>([&](auto r) {
          total[r] = load<T>(to + r * kLanes<T>);
          if constexpr (delayed.value) {
            const T* const own = delay.row(block.number, i) + r * kLanes<T>;
            const size_t at = size_t(own - delay.data.data());
            d[r] = load<T>(own), x[r] = load<T>(&late.x[at]), s[r] = load<T>(&late.s[at]);
          }
        });
        for (int32_t k = first; k < last; ++k) {
          const int32_t l = arrivals.sample[k];
          unrolled<registers>([&](auto r) {
            Vec<T> u = time[l][r] - arrivals.time[k];
            Flow<Vec<T>> flow;
            if constexpr (delayed.value) {
              u -= d[r];
              flow = response[l][r].to(membrane, u, x[r] * arrivals.x[k], s[r] * arrivals.s[k]);
            } else {
              flow = response[l][r].to(membrane, u, arrivals.x[k], arrivals.s[k]);
            }
            total[r] += force[l][r] * larger<T>(flow.k, Vec<T>{});
            if constexpr (timed.value) {
              const Vec<T> rise = kind == saltation::kLeakFree ? flow.s : flow.s - flow.k;
              by_rise[r] += choose<T>(u > 0, force[l][r], Vec<T>{}) * rise;
            }
          });
        }
        unrolled<registers>([&](auto r) {
          store<T>(to + r * kLanes<T>, total[r]);
          if constexpr (timed.value) {
            const T* const w = weight.row(block.number, i) + r * kLanes<T>;
            const Vec<T> later = -by_rise[r] * load<T>(w) * membrane.rate_mem;
            if (gradients.axonal) by_axonal[size_t(i)] += later;
            if (!gradients.delay) return;
            T* const sums = by_delay.row(block.number, i) + r * kLanes<T>;
            store<T>(sums, load<T>(sums) + later);
          }
        });
      }
    };
    using No = std::false_type;
    using Yes = std::true_type;
    layer.delay ? add_up(Yes{}, Yes{}) : gradients.axonal ? add_up(Yes{}, No{}) : add_up(No{}, No{});
  });
  by_weight.add_to(gradients.weight.data, layer.neurons);
  if (gradients.delay) by_delay.add_to(gradients.delay.data, layer.neurons);
  for (size_t i = 0; i < by_axonal.size(); ++i) gradients.axonal.data[i] += sum<T>(by_axonal[i]);
}

}  // namespace SALTATION_ARCH
