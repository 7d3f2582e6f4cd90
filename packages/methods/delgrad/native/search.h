// The search for first spikes: a walk through the arrivals in order of time, and one root for each neuron.
#pragma once

#include <vector>

#include "blocks.h"
#include "membrane.h"

namespace SALTATION_ARCH {

// From `start`, for `gap`, in which the state flows; then a kick. N is a number or a vector of lanes.
template <typename T, typename N>
struct Interval {
  Flow<N> flow;
  N most;
  Vec<T> start, gap, kick;
};

// The state of a register of neurons on their walk, and that at the start of the interval in which they spike.
template <typename T, int kind>
struct Walker {
  Vec<T> w, i, hit_w, hit_i, hit_start, hit_gap;
  Mask<T> waiting, hit;

  void begin(Vec<T> from, Mask<T> real) {
    w = from, i = hit_w = hit_i = hit_start = hit_gap = Vec<T>{};
    waiting = real, hit = Mask<T>{};
  }

  // Across an interval without an arrival; after it, a kick. Where the potential may have crossed the threshold in it:
  // what it starts with decays, and what the current adds is no more than `most` of it, so that few intervals need more
  // than this bound.
  template <typename N>
  Mask<T> across(const Flow<N>& flow, N most, Vec<T> close, Vec<T> drive, Vec<T> kick) {
    Vec<T> bound = larger<T>(w, w * flow.x) + larger<T>(i * most, Vec<T>{});
    if constexpr (kind == saltation::kLeakFree) bound += larger<T>(drive * flow.d, Vec<T>{});
    move(flow, drive, kick);
    return (bound >= close) & waiting;
  }

  template <typename N>
  void move(const Flow<N>& flow, Vec<T> drive, Vec<T> kick) {
    // The product that does not wait for the last one comes first.
    const Vec<T> added = i * flow.k;
    w = w * flow.x + added;
    if constexpr (kind == saltation::kLeakFree) w += drive * flow.d;
    i = i * flow.s + kick;
  }

  // Whether it did, in the interval of `gap` from `start` at whose ends the potential was `w_start` and `w`.
  template <typename N>
  void test(const Membrane<T, kind>& membrane, const Flow<N>& flow, Vec<T> w_start, Vec<T> i_start, Vec<T> start,
            Vec<T> gap, Vec<T> theta, Vec<T> drive) {
    Mask<T> reached = w >= theta;
    const Mask<T> turns = (membrane.drift(w_start, i_start, drive) > 0) & (membrane.drift(w, i_start * flow.s, drive) < 0);
    if constexpr (kind == saltation::kDouble) {
      reached |= turns & membrane.peak_reaches(w_start, i_start, theta, drive);
    } else {
      const Mask<T> unsure = turns & ~reached & waiting;
      if (any(unsure)) reached |= turns & membrane.peak_reaches(w_start, i_start, theta, drive);
    }
    reached &= waiting;
    hit_w = choose<T>(reached, w_start, hit_w), hit_i = choose<T>(reached, i_start, hit_i);
    hit_start = choose<T>(reached, start, hit_start), hit_gap = choose<T>(reached, gap, hit_gap);
    hit |= reached, waiting &= ~reached;
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

// All neurons of a block across one interval. Whether any of them still waits for its spike.
template <typename T, int kind, int registers, typename N, typename PerRegister>
inline bool advance(const Membrane<T, kind>& membrane, Walker<T, kind>* walker, const Block<T, registers>& block,
                    PerRegister interval) {
  Vec<T> w[registers], i[registers];
  Mask<T> close{};
  unrolled<registers>([&](auto r) {
    const Interval<T, N> at = interval(r);
    w[r] = walker[r].w, i[r] = walker[r].i;
    close |= walker[r].across(at.flow, at.most, block.close[r], block.drive[r], at.kick);
  });
  if (!any(close)) return true;
  Mask<T> waiting{};
  unrolled<registers>([&](auto r) {
    const Interval<T, N> at = interval(r);
    walker[r].test(membrane, at.flow, w[r], i[r], at.start, at.gap, block.theta[r], block.drive[r]);
    waiting |= walker[r].waiting;
  });
  return any(waiting);
}

template <typename T, int kind, int registers>
inline void finish(const Membrane<T, kind>& membrane, const Walker<T, kind>* walker, const Block<T, registers>& block,
                   T t1, int64_t sample, saltation::Spikes<T> spikes) {
  unrolled<registers>([&](auto r) {
    Vec<T> time, slope;
    walker[r].finish(membrane, block.theta[r], block.drive[r], t1, time, slope);
    block.write(spikes.time, sample, r, time);
    block.write(spikes.slope, sample, r, slope);
  });
}

// The intervals between the arrivals of every sample, the last one up to t1, with what each does to a state.
template <typename T>
struct Timeline {
  std::vector<T> x, k, s, d, most, end;
  std::vector<int32_t> source, count;
  int64_t slots;
  bool shared;  // one stimulus for the whole batch

  template <int kind>
  Timeline(const saltation::Layer<T>& layer, const Membrane<T, kind>& membrane)
      : slots((layer.arrivals / kLanes<T> + 1) * kLanes<T>), shared(layer.time.stride == 0 && layer.source.stride == 0) {
    const int64_t stimuli = shared ? 1 : layer.batch;
    for (auto* part : {&x, &k, &s, &d, &most, &end}) part->resize(size_t(stimuli * slots));
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
        const Vec<T> u = load<T>(gap.data() + n);
        const Flow<Vec<T>> f = membrane.flow(u);
        const int64_t to = b * slots + n;
        store<T>(&x[to], f.x), store<T>(&k[to], f.k), store<T>(&s[to], f.s), store<T>(&d[to], f.d);
        store<T>(&most[to], membrane.most(u, f.k));
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
    unrolled<registers>([&](auto r) { walker[r].begin(block.start[r], block.real[r]); });
    T start = 0;
    for (int k = 0; k <= count; ++k) {
      const T end = timeline.end[offset + k];
      const T* kick = k < count ? weight.row(block.number, timeline.source[offset + k]) : nullptr;
      const auto interval = [&](auto r) -> Interval<T, T> {
        return {timeline.flow(offset + k), timeline.most[offset + k], all<T>(start), all<T>(end - start),
                kick ? load<T>(kick + r * kLanes<T>) : Vec<T>{}};
      };
      if (!advance<T, kind, registers, T>(membrane, walker, block, interval)) break;
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
    unrolled<registers>([&](auto r) { walker[r].begin(block.start[r], block.real[r]); });
    const auto end_of = [&](int k, int r) { return k < count ? times[k * registers + r] : all<T>(t1); };
    for (int k = 0; k <= count; ++k) {
      const auto interval = [&](auto r) -> Interval<T, Vec<T>> {
        const Vec<T> start = k > 0 ? times[(k - 1) * registers + r] : Vec<T>{}, gap = end_of(k, r) - start;
        const Flow<Vec<T>> flow = membrane.flow(gap);
        return {flow, membrane.most(gap, flow.k), start, gap, k < count ? kicks[k * registers + r] : Vec<T>{}};
      };
      if (!advance<T, kind, registers, Vec<T>>(membrane, walker, block, interval)) break;
    }
    finish<T, kind, registers>(membrane, walker, block, t1, b, spikes);
  });
}

}  // namespace SALTATION_ARCH
