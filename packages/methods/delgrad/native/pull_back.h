// The derivative of v(T) = theta at given spike times: the gradient by everything that T depends on, and the slope.
#pragma once

#include <vector>

#include "blocks.h"

namespace SALTATION_ARCH {

// Whether exp(-(T - t - d) / tau) can be taken as a product of factors of the neuron, of the arrival and of the delay:
// they stay far from the ends of the type's range, and the kernel does not cancel.
template <typename T, int kind>
bool factors(const saltation::Layer<T>& layer) {
  const double longest = sizeof(T) == 4 ? 20.0 : 200.0;
  const double shorter = kind == saltation::kLeakFree ? layer.tau_syn : std::min(layer.tau_mem, layer.tau_syn);
  const double longer = std::max(layer.tau_mem, layer.tau_syn);
  const bool distinct = kind != saltation::kGeneral || longer / shorter > 1.2;
  return layer.t1 < longest * shorter && distinct;
}

// The neurons' factors of their responses to arrivals, and those responses.
template <typename T, int kind, bool factored>
struct Response {
  Vec<T> x, s;

  void begin(const Membrane<T, kind>& membrane, Vec<T> time) {
    x = s = Vec<T>{};
    if constexpr (factored) {
      if constexpr (kind != saltation::kLeakFree) x = exponential<T>(-time * membrane.rate_mem);
      if constexpr (kind >= saltation::kGeneral) s = exponential<T>(-time * membrane.rate_syn);
    }
  }

  // N is a number or a vector of lanes.
  template <typename N>
  Flow<Vec<T>> to(const Membrane<T, kind>& membrane, Vec<T> u, N x_arrival, N s_arrival) const {
    if constexpr (factored) return membrane.kernel(u, x * x_arrival, s * s_arrival);
    return membrane.flow(larger<T>(u, Vec<T>{}));
  }
};

// The factors of delays. One beyond t1 is as good as t1: either way an arrival comes after every spike.
template <typename T>
struct DelayFactors {
  std::vector<T> x, s;

  template <int kind>
  void read(const Membrane<T, kind>& membrane, const T* delay, size_t number, T t1) {
    // Delays beyond the last one are there to fill up a register.
    const size_t room = (number + kLanes<T> - 1) / kLanes<T> * kLanes<T>;
    x.assign(delay, delay + number), x.resize(room), s.resize(room);
    for (size_t k = 0; k < room; k += kLanes<T>) {
      const Vec<T> d = smaller<T>(load<T>(&x[k]), all<T>(t1));
      store<T>(&x[k], exponential<T>(d * membrane.rate_mem));
      if constexpr (kind >= saltation::kGeneral) store<T>(&s[k], exponential<T>(d * membrane.rate_syn));
    }
  }
};

// The arrivals of some samples, with their factors.
template <typename T>
struct Factors {
  std::vector<Arrival<T>> arrival;
  std::vector<T> x, s;
  std::vector<size_t> begin;
  std::vector<bool> ordered;
  bool shared;
  int64_t first = -1;

  explicit Factors(const saltation::Layer<T>& layer) : shared(one_stimulus(layer)) {}

  template <int kind>
  void read(const saltation::Layer<T>& layer, const Membrane<T, kind>& membrane, bool factored, int64_t from, int64_t to) {
    if (shared && first >= 0) return;
    first = from, arrival.clear(), ordered.clear(), begin.assign(1, 0);
    for (int64_t b = from; b < (shared ? from + 1 : to); ++b) {
      collect(layer, b, found);
      bool ascends = true;
      for (size_t k = 1; k < found.size(); ++k) ascends &= found[k - 1].time <= found[k].time;
      ordered.push_back(ascends);
      arrival.insert(arrival.end(), found.begin(), found.end());
      begin.push_back(arrival.size());
    }
    if (!factored) return;
    x.resize(arrival.size() + kLanes<T>), s.resize(x.size());
    for (size_t k = 0; k < arrival.size(); ++k) x[k] = arrival[k].time;
    for (size_t k = 0; k < arrival.size(); k += kLanes<T>) {
      const Vec<T> t = load<T>(&x[k]);
      if constexpr (kind >= saltation::kGeneral) store<T>(&s[k], exponential<T>(t * membrane.rate_syn));
      store<T>(&x[k], exponential<T>(t * membrane.rate_mem));
    }
  }

  // Which of the stimuli is a sample's.
  size_t of(int64_t sample) const { return shared ? 0 : size_t(sample - first); }

 private:
  std::vector<Arrival<T>> found;
};

// Of a register of neurons their spike times, and by how much the loss changes with their potential there; both are 0 for
// those that do not spike, or without a slope. Adds to the gradients that need no arrivals. Returns which ones count.
template <typename T, int kind, int registers>
inline Mask<T> forces(const Block<T, registers>& block, const saltation::Layer<T>& layer, const saltation::Spikes<T>& spikes,
                      const T* cotangent, const saltation::Gradients<T>& gradients, const Membrane<T, kind>& membrane,
                      int64_t b, int r, Vec<T>& time, Vec<T>& force) {
  const Vec<T> t = block.read(spikes.time, b * layer.neurons, r), slope = block.read(spikes.slope, b * layer.neurons, r);
  const Mask<T> fires = (t < std::numeric_limits<T>::infinity()) & (slope > 0) & block.real[r];
  const Vec<T> by_spike = block.read(cotangent, b * layer.neurons, r);
  time = choose<T>(fires, t - block.late[r], Vec<T>{});
  force = choose<T>(fires, -by_spike / choose<T>(fires, slope, all<T>(1)), Vec<T>{});
  if (gradients.dendritic) {
    const Mask<T> sent = t < std::numeric_limits<T>::infinity();
    block.add(gradients.dendritic.at(b), r, choose<T>(sent, by_spike, Vec<T>{}));
  }
  if (gradients.theta) block.add(gradients.theta.at(b), r, -force);
  if (gradients.drive) block.add(gradients.drive.at(b), r, force * membrane.step(time));
  return fires;
}

template <typename T, int kind, int registers, bool factored>
void pull_back(const saltation::Layer<T>& layer, const saltation::Spikes<T>& spikes, const T* cotangent,
               const saltation::Gradients<T>& gradients) {
  using B = Block<T, registers>;
  constexpr int lanes = kLanes<T>;
  const Membrane<T, kind> membrane(layer.tau_mem, layer.tau_syn);
  Factors<T> stimuli(layer);
  DelayFactors<T> late;
  const auto prepare = [&](int64_t first, int64_t last, const Packed<T>& delay) {
    stimuli.read(layer, membrane, factored, first, last);
    const bool first_time = first == 0 || layer.delay.stride;
    if (factored && layer.delay && first_time) late.read(membrane, delay.data.data(), delay.data.size(), T(layer.t1));
  };
  Packed<T> by_weight(gradients.weight ? layer.sources : 0, layer.neurons, B::width);
  Packed<T> by_delay(gradients.delay ? layer.sources : 0, layer.neurons, B::width);
  const bool together = gradients.weight.stride == 0 && gradients.delay.stride == 0 && layer.weight.stride == 0 &&
                        layer.delay.stride == 0;
  const bool timed = gradients.time || gradients.delay || gradients.axonal;
  auto flush = [&](Packed<T>& packed, const saltation::Operand<T>& to, int64_t b) {
    if (!to) return;
    packed.add_to(to.at(b), layer.neurons);
    std::fill(packed.data.begin(), packed.data.end(), T(0));
  };
  int64_t current = 0;
  each_block<T, kind, registers>(layer, together ? kSamples : 1, timed, prepare, [&](int64_t b, const B& block, Packed<T>& weight, Packed<T>& delay) {
    if (!together && b != current) {
      flush(by_weight, gradients.weight, current), flush(by_delay, gradients.delay, current);
      current = b;
    }
    Vec<T> time[registers], force[registers], kick_force[registers];
    Mask<T> active{};
    Vec<T> latest{};
    for (int r = 0; r < registers; ++r) {
      active |= forces(block, layer, spikes, cotangent, gradients, membrane, b, r, time[r], force[r]);
      kick_force[r] = force[r];
      latest = larger<T>(latest, time[r]);
    }
    if (!any(active)) return;
    T last = 0;
    for (int l = 0; l < lanes; ++l) last = latest[l] > last ? latest[l] : last;

    const size_t stimulus = stimuli.of(b);
    const size_t begin = stimuli.begin[stimulus], end = stimuli.begin[stimulus + 1];
    const bool ordered = stimuli.ordered[stimulus] && !layer.delay;
    // `visit(r, arrival, before, kappa, left)` for each arrival and register.
    auto each_arrival = [&](auto visit, auto after) {
      Response<T, kind, factored> response[registers];
      unrolled<registers>([&](auto r) { response[r].begin(membrane, time[r]); });
      for (size_t k = begin; k < end; ++k) {
        const Arrival<T>& arrival = stimuli.arrival[k];
        if (ordered && arrival.time >= last) break;
        const T x = factored ? stimuli.x[k] : T(0), s = factored ? stimuli.s[k] : T(0);
        const size_t row = layer.delay ? size_t(delay.row(block.number, arrival.source) - delay.data.data()) : 0;
        unrolled<registers>([&](auto r) {
          Vec<T> u = time[r] - arrival.time;
          Flow<Vec<T>> flow;
          if (!layer.delay) {
            flow = response[r].to(membrane, u, x, s);
          } else {
            const size_t at = row + r * lanes;
            u -= load<T>(&delay.data[at]);
            const Vec<T> none{};
            flow = response[r].to(membrane, u, factored ? x * load<T>(&late.x[at]) : none,
                                  factored ? s * load<T>(&late.s[at]) : none);
          }
          visit(r, arrival, u > 0, flow.k, flow.s);
        });
        after(arrival);
      }
    };
    if (gradients.limit > 0) {
      Vec<T> steepest[registers] = {};
      each_arrival(
          [&](auto r, const Arrival<T>&, Mask<T>, Vec<T> kappa, Vec<T>) {
            steepest[r] = larger<T>(steepest[r], magnitude<T>(force[r]) * larger<T>(kappa, Vec<T>{}));
          },
          [](const Arrival<T>&) {});
      for (int r = 0; r < registers; ++r) {
        kick_force[r] = choose<T>(steepest[r] <= T(gradients.limit), force[r], Vec<T>{});
      }
    }
    // A response is positive from its arrival on: what comes later than the spike adds nothing.
    T* const sums = gradients.weight ? by_weight.row(block.number, 0) : nullptr;
    const auto add_to_weight = [=, &kick_force](auto r, const Arrival<T>& arrival, Vec<T> kappa) {
      T* to = sums + arrival.source * B::width + r * lanes;
      store<T>(to, load<T>(to) + kick_force[r] * larger<T>(kappa, Vec<T>{}));
    };
    if (!timed) {
      if (!gradients.weight) return;
      each_arrival([&](auto r, const Arrival<T>& arrival, Mask<T>, Vec<T> kappa, Vec<T>) { add_to_weight(r, arrival, kappa); },
                   [](const Arrival<T>&) {});
      return;
    }
    Vec<T> by_time{};
    each_arrival(
        [&](auto r, const Arrival<T>& arrival, Mask<T> before, Vec<T> kappa, Vec<T> left) {
          if (gradients.weight) add_to_weight(r, arrival, kappa);
          const Vec<T> w = load<T>(weight.row(block.number, arrival.source) + r * lanes);
          const Vec<T> rise = kind == saltation::kLeakFree ? left : left - kappa;
          const Vec<T> earlier = choose<T>(before, -force[r], Vec<T>{}) * w * rise * membrane.rate_mem;
          by_time += earlier;
          if (gradients.delay) {
            T* to = by_delay.row(block.number, arrival.source) + r * lanes;
            store<T>(to, load<T>(to) + earlier);
          }
        },
        [&](const Arrival<T>& arrival) {
          const T total = sum<T>(by_time);
          if (gradients.time) gradients.time.at(b)[arrival.position] += total;
          if (gradients.axonal) gradients.axonal.at(b)[arrival.source] += total;
          by_time = Vec<T>{};
        });
  });
  flush(by_weight, gradients.weight, current), flush(by_delay, gradients.delay, current);
}

// The slope of the potential at given times; infinite where there is no spike.
template <typename T, int kind>
void slope_at(const saltation::Layer<T>& layer, saltation::Spikes<T> spikes) {
  constexpr T inf = std::numeric_limits<T>::infinity();
  const Membrane<T, kind> membrane(layer.tau_mem, layer.tau_syn);
  Factors<T> stimuli(layer);
  const auto prepare = [&](int64_t first, int64_t last, const Packed<T>&) {
    stimuli.read(layer, membrane, false, first, last);
  };
  each_block<T, kind, 1>(
      layer, kSamples, true, prepare, [&](int64_t b, const Block<T, 1>& block, Packed<T>& weight, Packed<T>& delay) {
        const size_t stimulus = stimuli.of(b);
          const Vec<T> given = block.read(spikes.time, b * layer.neurons, 0);
          const Mask<T> fires = (given < inf) & block.real[0];
          const Vec<T> time = choose<T>(fires, given, Vec<T>{});
          const Vec<T> drive = block.drive[0];
          Vec<T> v = drive * membrane.step(time), i = drive;
          for (size_t k = stimuli.begin[stimulus]; k < stimuli.begin[stimulus + 1]; ++k) {
            const Arrival<T>& arrival = stimuli.arrival[k];
            Vec<T> u = time - arrival.time;
            if (layer.delay) u -= load<T>(delay.row(block.number, arrival.source));
            const Flow<Vec<T>> flow = membrane.flow(larger<T>(u, Vec<T>{}));
            const Vec<T> w = load<T>(weight.row(block.number, arrival.source));
            const Vec<T> kick = choose<T>(u > 0, w, Vec<T>{});
            v += kick * flow.k, i += kick * flow.s;
          }
          const Vec<T> rise = (kind == saltation::kLeakFree ? i : i - v) * membrane.rate_mem;
          block.write(spikes.slope, b, 0, choose<T>(fires, rise, all<T>(inf)));
      });
}

}  // namespace SALTATION_ARCH
