// The search for first spikes: a walk through the arrivals in order of time, and one root for each neuron.
#pragma once

#include <vector>

#include "blocks.h"
#include "membrane.h"

namespace SALTATION_ARCH {

// The state of a register of neurons on their walk, and that at the start of the interval in which they spike.
template <typename T, int kind>
struct Walker {
  Vec<T> w, i, hit_w, hit_i, hit_start, hit_gap;
  Mask<T> waiting, hit;

  void begin(Vec<T> from, Mask<T> real) {
    w = from, i = hit_w = hit_i = hit_start = hit_gap = Vec<T>{};
    waiting = real, hit = Mask<T>{};
  }

  // Across an interval without an arrival; after it, a kick.
  template <typename N>
  void across(const Membrane<T, kind>& membrane, const Flow<N>& flow, Vec<T> start, Vec<T> gap, Vec<T> theta,
              Vec<T> drive, Vec<T> kick) {
    Vec<T> w_end = w * flow.x + i * flow.k;
    if constexpr (kind == saltation::kLeakFree) w_end += drive * flow.d;
    const Vec<T> i_end = i * flow.s;
    Mask<T> reached = w_end >= theta;
    const Mask<T> turns = (membrane.drift(w, i, drive) > 0) & (membrane.drift(w_end, i_end, drive) < 0);
    if constexpr (kind == saltation::kDouble) {
      reached |= turns & membrane.peak_reaches(w, i, theta, drive);
    } else {
      const Mask<T> unsure = turns & ~reached & waiting;
      if (any(unsure)) reached |= turns & membrane.peak_reaches(w, i, theta, drive);
    }
    reached &= waiting;
    if (any(reached)) {
      hit_w = choose<T>(reached, w, hit_w), hit_i = choose<T>(reached, i, hit_i);
      hit_start = choose<T>(reached, start, hit_start), hit_gap = choose<T>(reached, gap, hit_gap);
      hit |= reached, waiting &= ~reached;
    }
    w = w_end, i = i_end + kick;
  }

  void finish(const Membrane<T, kind>& membrane, Vec<T> theta, Vec<T> drive, T t1, Vec<T>& time, Vec<T>& slope) const {
    constexpr T inf = std::numeric_limits<T>::infinity();
    const Vec<T> u = membrane.root(hit_w, hit_i, theta, hit_gap, drive, hit, hit_start);
    time = hit_start + u;
    const Vec<T> rise = membrane.drift(theta, hit_i * membrane.flow(u).s, drive) * membrane.rate_mem;
    const Mask<T> fires = hit & (time <= t1);
    time = choose<T>(fires, time, all<T>(inf));
    slope = choose<T>(fires, rise, all<T>(inf));
  }
};

template <typename T, int kind, int registers>
inline void finish(const Membrane<T, kind>& membrane, const Walker<T, kind>* walker, const Block<T, registers>& block,
                   T t1, int64_t sample, saltation::Spikes<T> spikes) {
  for (int r = 0; r < registers; ++r) {
    Vec<T> time, slope;
    walker[r].finish(membrane, block.theta[r], block.drive[r], t1, time, slope);
    block.write(spikes.time, sample, r, time);
    block.write(spikes.slope, sample, r, slope);
  }
}

// The intervals between the arrivals of every sample, the last one up to t1, with what each does to a state.
template <typename T>
struct Timeline {
  std::vector<T> x, k, s, d, end;
  std::vector<int32_t> source, count;
  int64_t slots;
  bool shared;  // one stimulus for the whole batch

  template <int kind>
  Timeline(const saltation::Layer<T>& layer, const Membrane<T, kind>& membrane)
      : slots((layer.arrivals / kLanes<T> + 1) * kLanes<T>), shared(layer.time.stride == 0 && layer.source.stride == 0) {
    const int64_t stimuli = shared ? 1 : layer.batch;
    for (auto* part : {&x, &k, &s, &d, &end}) part->resize(size_t(stimuli * slots));
    source.resize(size_t(stimuli * slots)), count.resize(size_t(stimuli));
    std::vector<Arrival<T>> arrivals, spare;
    std::vector<T> gap(static_cast<size_t>(slots));
    for (int64_t b = 0; b < stimuli; ++b) {
      collect(layer, b, arrivals);
      in_order(arrivals, spare);
      const int number = count[b] = int(arrivals.size());
      T* ends = end.data() + b * slots;
      for (int n = 0; n < number; ++n) ends[n] = arrivals[n].time, source[b * slots + n] = arrivals[n].source;
      ends[number] = T(layer.t1);
      for (int n = 0; n < slots; ++n) gap[n] = n <= number ? ends[n] - (n ? ends[n - 1] : T(0)) : T(0);
      for (int n = 0; n <= number; n += kLanes<T>) {
        const Flow<Vec<T>> f = membrane.flow(load<T>(gap.data() + n));
        const int64_t to = b * slots + n;
        store<T>(&x[to], f.x), store<T>(&k[to], f.k), store<T>(&s[to], f.s), store<T>(&d[to], f.d);
      }
    }
  }

  Flow<T> flow(int64_t n) const { return {x[n], k[n], s[n], d[n]}; }
};

// Neurons that see the arrivals in one order: the decay over an interval is computed once a sample.
template <typename T, int kind, int registers>
void search_shared(const saltation::Layer<T>& layer, saltation::Spikes<T> spikes) {
  const Membrane<T, kind> membrane(layer.tau_mem, layer.tau_syn);
  const Timeline<T> timeline(layer, membrane);
  each_block<T, kind, registers>(layer, true, [&](int64_t b, const Block<T, registers>& block, Packed<T>& weight, Packed<T>&) {
    const int64_t stimulus = timeline.shared ? 0 : b, offset = stimulus * timeline.slots;
    const int count = timeline.count[stimulus];
    Walker<T, kind> walker[registers];
    for (int r = 0; r < registers; ++r) walker[r].begin(block.start[r], block.real[r]);
    T start = 0;
    for (int k = 0; k <= count; ++k) {
      const T end = timeline.end[offset + k];
      const Flow<T> flow = timeline.flow(offset + k);
      const T* kick = k < count ? weight.row(block.number, timeline.source[offset + k]) : nullptr;
      Mask<T> waiting{};
      for (int r = 0; r < registers; ++r) {
        walker[r].across(membrane, flow, all<T>(start), all<T>(end - start), block.theta[r], block.drive[r],
                         kick ? load<T>(kick + r * kLanes<T>) : Vec<T>{});
        waiting |= walker[r].waiting;
      }
      if (!any(waiting)) break;
      start = end;
    }
    finish<T, kind, registers>(membrane, walker, block, T(layer.t1), b, spikes);
  });
}

// Neurons that each see the arrivals in an order of their own: each lane's are sorted.
template <typename T, int kind, int registers>
void search_own(const saltation::Layer<T>& layer, saltation::Spikes<T> spikes) {
  const Membrane<T, kind> membrane(layer.tau_mem, layer.tau_syn);
  const T t1 = T(layer.t1);
  std::vector<Arrival<T>> arrivals;
  std::vector<Vec<T>> times(size_t(layer.arrivals * registers)), kicks(size_t(layer.arrivals * registers));
  each_block<T, kind, registers>(layer, true, [&](int64_t b, const Block<T, registers>& block, Packed<T>& weight, Packed<T>& delay) {
    collect(layer, b, arrivals);
    const int count = int(arrivals.size());
    for (int k = 0; k < count; ++k) {
      const T *kick = weight.row(block.number, arrivals[k].source), *late = delay.row(block.number, arrivals[k].source);
      for (int r = 0; r < registers; ++r) {
        times[k * registers + r] = smaller<T>(arrivals[k].time + load<T>(late + r * kLanes<T>), all<T>(t1));
        kicks[k * registers + r] = load<T>(kick + r * kLanes<T>);
      }
    }
    sort_columns<T, registers>(times.data(), kicks.data(), count);
    Walker<T, kind> walker[registers];
    for (int r = 0; r < registers; ++r) walker[r].begin(block.start[r], block.real[r]);
    Vec<T> start[registers] = {};
    for (int k = 0; k <= count; ++k) {
      Mask<T> waiting{};
      for (int r = 0; r < registers; ++r) {
        const Vec<T> end = k < count ? times[k * registers + r] : all<T>(t1), gap = end - start[r];
        walker[r].across(membrane, membrane.flow(gap), start[r], gap, block.theta[r], block.drive[r],
                         k < count ? kicks[k * registers + r] : Vec<T>{});
        start[r] = end;
        waiting |= walker[r].waiting;
      }
      if (!any(waiting)) break;
    }
    finish<T, kind, registers>(membrane, walker, block, t1, b, spikes);
  });
}

}  // namespace SALTATION_ARCH
