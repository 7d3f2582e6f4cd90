// Layers of few neurons: a register holds one neuron in as many samples of the batch, instead of neurons of one sample.
#pragma once

#include <vector>

#include "pull_back.h"
#include "search.h"

namespace SALTATION_ARCH {

// Whether samples fill the registers better than neurons do. Every column of arrivals is sorted by a network, which pays
// for few of them.
template <typename T>
bool few_neurons(const saltation::Layer<T>& layer) {
  return layer.neurons <= kLanes<T> && layer.batch >= kLanes<T> && layer.arrivals <= 64 && !layer.weight.stride &&
         !layer.delay.stride;
}

template <typename T>
bool few_neurons(const saltation::Layer<T>& layer, const saltation::Gradients<T>& gradients) {
  return few_neurons(layer) && !layer.source.stride && !gradients.weight.stride && !gradients.delay.stride &&
         !gradients.axonal.stride && gradients.limit <= 0;
}

// As many samples as there are lanes, from `first` on; lanes beyond the last sample hold it once more.
template <typename T>
struct Samples {
  static constexpr int lanes = kLanes<T>;
  const saltation::Layer<T>& layer;
  int64_t first = 0;
  int number = 0;
  Mask<T> real{};
  // `[arrivals][lanes]`: padding and what is too late arrive at t1, where they do nothing. `row` is where the weights of
  // the source begin.
  std::vector<Vec<T>> time;
  std::vector<Mask<T>> row;

  explicit Samples(const saltation::Layer<T>& layer)
      : layer(layer), time(size_t(layer.arrivals)), row(size_t(layer.arrivals)) {}

  void read(int64_t from) {
    const bool begun = number > 0;
    first = from, number = int(std::min<int64_t>(lanes, layer.batch - from));
    for (int l = 0; l < lanes; ++l) real[l] = l < number ? -1 : 0;
    if (layer.source.stride || layer.axonal.stride) {
      read_own();
    } else {
      if (!begun) read_sources();
      read_times();
    }
  }

  int64_t sample(int lane) const { return first + std::min(lane, number - 1); }

 private:
  using Int = typename LaneTypes<T>::Int;

  // Of samples whose arrivals come from other units each.
  void read_own() {
    T* const times = reinterpret_cast<T*>(time.data());
    Int* const rows = reinterpret_cast<Int*>(row.data());
    const T t1 = T(layer.t1);
    for (int l = 0; l < lanes; ++l) {
      layer.each_arrival(sample(l), [&](int64_t k, T time, int32_t source) {
        times[k * lanes + l] = (time < t1) & (source >= 0) ? time : t1;
        rows[k * lanes + l] = std::max(source, 0) * Int(layer.neurons);
      });
    }
  }

  // Of samples that share them: once for all.
  void read_sources() {
    late.resize(time.size());
    for (int64_t k = 0; k < layer.arrivals; ++k) {
      const int32_t source = layer.source ? layer.source.data[k] : int32_t(k);
      row[k] = Mask<T>{} + std::max(source, 0) * Int(layer.neurons);
      late[k] = source < 0 ? T(layer.t1) : layer.axonal ? layer.axonal.data[source] : T(0);
    }
  }

  void read_times() {
    T* const times = reinterpret_cast<T*>(time.data());
    for (int l = 0; l < lanes; ++l) {
      const T* const sent = layer.time.at(sample(l));
      for (int64_t k = 0; k < layer.arrivals; ++k) times[k * lanes + l] = sent[k];
    }
    const Vec<T> t1 = all<T>(T(layer.t1));
    // A NaN is not in time either.
    for (int64_t k = 0; k < layer.arrivals; ++k) {
      const Vec<T> at = time[k] + late[k];
      time[k] = choose<T>(at < t1, at, t1);
    }
  }

  std::vector<T> late;  // `[arrivals]`

 public:
  // Neuron j's entries of an operand `[batch, neurons]`, 0 without one.
  template <typename Number>
  Vec<T> of(const saltation::Operand<Number>& operand, int64_t j) const {
    Vec<T> v{};
    if (!operand) return v;
    if (operand.stride == 0) return all<T>(operand.data[j]);
    for (int l = 0; l < lanes; ++l) v[l] = operand.at(sample(l))[j];
    return v;
  }

  void write(T* to, int64_t j, Vec<T> v) const {
    for (int l = 0; l < number; ++l) to[(first + l) * layer.neurons + j] = v[l];
  }

  Vec<T> theta(int64_t j) const { return layer.theta ? of(layer.theta, j) : all<T>(T(layer.threshold)); }

  // Adds to a gradient, which the samples have each or together.
  void add(const saltation::Operand<T>& to, int64_t j, Vec<T> v) const {
    if (to.stride == 0) {
      to.data[j] += sum<T>(choose<T>(real, v, Vec<T>{}));
    } else {
      for (int l = 0; l < number; ++l) to.at(first + l)[j] += v[l];
    }
  }
};

// The intervals between sorted arrivals: what each does to a state, and which kick follows it.
template <typename T, int kind>
struct Course {
  std::vector<Vec<T>> time, row, kick;
  std::vector<Flow<Vec<T>>> flow;
  int count = 0;

  explicit Course(int64_t arrivals)
      : time(size_t(arrivals + 1)), row(size_t(arrivals + 1)), kick(size_t(arrivals + 1)), flow(size_t(arrivals + 1)) {}

  // `time` and what `along` holds for each arrival, in order; the last interval ends at `t1`.
  void sort(const Membrane<T, kind>& membrane, std::vector<Vec<T>>& along, T t1) {
    const int n = int(time.size()) - 1;
    sort_columns<T, 1>(time.data(), along.data(), n);
    time[n] = all<T>(t1);
    for (count = 0; count < n && any(time[count] < t1);) ++count;
    for (int k = 0; k <= count; ++k) flow[k] = membrane.flow(time[k] - (k ? time[k - 1] : Vec<T>{}));
  }
};

template <typename T, int kind>
void search_samples(const saltation::Layer<T>& layer, saltation::Spikes<T> spikes) {
  const Membrane<T, kind> membrane(layer.tau_mem, layer.tau_syn);
  const T t1 = T(layer.t1);
  const int64_t n = layer.arrivals;
  Samples<T> samples(layer);
  Course<T, kind> course(n);
  for (int64_t b = 0; b < layer.batch; b += kLanes<T>) {
    samples.read(b);
    if (!layer.delay) {
      for (int64_t k = 0; k < n; ++k) course.time[k] = samples.time[k], course.row[k] = as_floats<T>(samples.row[k]);
      course.sort(membrane, course.row, t1);
    }
    for (int64_t j = 0; j < layer.neurons; ++j) {
      if (layer.delay) {
        for (int64_t k = 0; k < n; ++k) {
          const Vec<T> late = gather<T>(layer.delay.data + j, samples.row[k]);
          course.time[k] = smaller<T>(samples.time[k] + late, all<T>(t1));
          course.kick[k] = gather<T>(layer.weight.data + j, samples.row[k]);
        }
        course.sort(membrane, course.kick, t1);
      } else {
        for (int k = 0; k < course.count; ++k) {
          course.kick[k] = gather<T>(layer.weight.data + j, as_bits<T>(course.row[k]));
        }
      }
      walk(membrane, samples, course, j, spikes);
    }
  }
}

// One neuron through the arrivals of its samples. Every interval is tested: with a sample a lane, one of them is nearly
// always close to the threshold.
template <typename T, int kind>
inline void walk(const Membrane<T, kind>& membrane, const Samples<T>& samples, const Course<T, kind>& course, int64_t j,
                 saltation::Spikes<T> spikes) {
  constexpr bool leaky = kind != saltation::kLeakFree;
  const Vec<T> drive = samples.of(samples.layer.drive, j);
  const Vec<T> theta = samples.theta(j) - (leaky ? drive : Vec<T>{});
  Walker<T, kind> walker;
  walker.begin(leaky ? -drive : Vec<T>{}, samples.real);
  Vec<T> start{};
  for (int k = 0; k <= course.count; ++k) {
    const Vec<T> w = walker.w, i = walker.i;
    walker.move(course.flow[k], drive, k < course.count ? course.kick[k] : Vec<T>{});
    walker.test(membrane, course.flow[k], w, i, start, course.time[k] - start, theta, drive);
    if (!any(walker.waiting)) break;
    start = course.time[k];
  }
  Vec<T> time, slope;
  walker.finish(membrane, theta, drive, samples.of(samples.layer.dendritic, j), T(samples.layer.t1), time, slope);
  samples.write(spikes.time, j, time), samples.write(spikes.slope, j, slope);
}

template <typename T, int kind, bool factored>
void pull_back_samples(const saltation::Layer<T>& layer, const saltation::Spikes<T>& spikes, const T* cotangent,
                       const saltation::Gradients<T>& gradients) {
  constexpr int lanes = kLanes<T>;
  constexpr T inf = std::numeric_limits<T>::infinity();
  const Membrane<T, kind> membrane(layer.tau_mem, layer.tau_syn);
  const int64_t n = layer.arrivals, neurons = layer.neurons;
  const size_t entries = size_t(layer.sources * neurons);
  // A lane of their own for each sample of a group, added up at the end.
  std::vector<Vec<T>> by_weight(gradients.weight ? entries : 0), by_delay(gradients.delay ? entries : 0);
  std::vector<Vec<T>> by_axonal(gradients.axonal ? size_t(layer.sources) : 0);
  std::vector<Vec<T>> by_time(layer.arrivals), x(layer.arrivals), s(layer.arrivals);
  DelayFactors<T> late;
  if (factored && layer.delay) late.read(membrane, layer.delay.data, entries, T(layer.t1));
  Samples<T> samples(layer);
  const saltation::Operand<const T> times{spikes.time, neurons}, slopes{spikes.slope, neurons}, given{cotangent, neurons};
  for (int64_t b = 0; b < layer.batch; b += lanes) {
    samples.read(b);
    Vec<T> time[lanes], force[lanes];
    Response<T, kind, factored> response[lanes];
    for (int64_t j = 0; j < neurons; ++j) {
      const Vec<T> t = samples.of(times, j), slope = samples.of(slopes, j), by_spike = samples.of(given, j);
      const Mask<T> fires = (t < inf) & (slope > 0) & samples.real;
      time[j] = choose<T>(fires, t - samples.of(layer.dendritic, j), Vec<T>{});
      force[j] = choose<T>(fires, -by_spike / choose<T>(fires, slope, all<T>(1)), Vec<T>{});
      if (gradients.dendritic) samples.add(gradients.dendritic, j, choose<T>(t < inf, by_spike, Vec<T>{}));
      response[j].begin(membrane, time[j]);
      if (gradients.theta) samples.add(gradients.theta, j, -force[j]);
      if (gradients.drive) samples.add(gradients.drive, j, force[j] * membrane.step(time[j]));
    }
    if constexpr (factored) {
      for (int64_t k = 0; k < n; ++k) {
        x[k] = exponential<T>(samples.time[k] * membrane.rate_mem);
        s[k] = kind >= saltation::kGeneral ? exponential<T>(samples.time[k] * membrane.rate_syn) : Vec<T>{};
      }
    }
    for (int64_t k = 0; k < n; ++k) {
      const int64_t row = samples.row[k][0];
      by_time[k] = Vec<T>{};
      for (int64_t j = 0; j < neurons; ++j) {
        Vec<T> u = time[j] - samples.time[k];
        Vec<T> x_late = x[k], s_late = s[k];
        if (layer.delay) {
          u -= layer.delay.data[row + j];
          if constexpr (factored) x_late *= late.x[row + j], s_late *= late.s[row + j];
        }
        const Flow<Vec<T>> flow = response[j].to(membrane, u, x_late, s_late);
        if (gradients.weight) by_weight[row + j] += force[j] * larger<T>(flow.k, Vec<T>{});
        const Vec<T> rise = kind == saltation::kLeakFree ? flow.s : flow.s - flow.k;
        const Vec<T> earlier = choose<T>(u > 0, -force[j], Vec<T>{}) * layer.weight.data[row + j] * rise * membrane.rate_mem;
        by_time[k] += earlier;
        if (gradients.delay) by_delay[row + j] += earlier;
      }
    }
    for (int64_t k = 0; gradients.axonal && k < n; ++k) by_axonal[samples.row[k][0] / neurons] += by_time[k];
    if (!gradients.time) continue;
    const T* const found = reinterpret_cast<const T*>(by_time.data());
    for (int l = 0; l < samples.number; ++l) {
      T* const to = gradients.time.at(b + l);
      for (int64_t k = 0; k < n; ++k) to[k] += found[k * lanes + l];
    }
  }
  for (size_t e = 0; e < by_weight.size(); ++e) gradients.weight.data[e] += sum<T>(by_weight[e]);
  for (size_t e = 0; e < by_delay.size(); ++e) gradients.delay.data[e] += sum<T>(by_delay[e]);
  for (size_t i = 0; i < by_axonal.size(); ++i) gradients.axonal.data[i] += sum<T>(by_axonal[i]);
}

}  // namespace SALTATION_ARCH
