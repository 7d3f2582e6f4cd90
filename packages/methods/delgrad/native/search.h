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

  // The spike is sent `late`.
  void finish(const Membrane<T, kind>& membrane, Vec<T> theta, Vec<T> drive, Vec<T> late, T t1, Vec<T>& time,
              Vec<T>& slope) const {
    constexpr T inf = std::numeric_limits<T>::infinity();
    const Vec<T> u = membrane.root(hit_w, hit_i, theta, hit_gap, drive, hit, hit_start);
    time = hit_start + u + late;
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
    walker[r].finish(membrane, block.theta[r], block.drive[r], block.late[r], t1, time, slope);
    block.write(spikes.time, sample, r, time);
    block.write(spikes.slope, sample, r, slope);
  });
}

// The intervals between the arrivals of some samples, the last one up to t1, with what each does to a state.
//
// As many arrivals as there are lanes are a group, which has a flow of its own: `late_k` and `late_s` are what is left of
// each kick at its end.
template <typename T>
struct Timeline {
  static constexpr int lanes = kLanes<T>;
  std::vector<T> x, k, s, d, end, late_k, late_s;
  std::vector<Flow<T>> group;
  std::vector<T> most;  // in a group
  std::vector<int32_t> source, count;
  bool shared;  // one stimulus for the whole batch
  int64_t slots, first = -1;

  explicit Timeline(const saltation::Layer<T>& layer)
      : shared(one_stimulus(layer)), slots((layer.arrivals / lanes + 1) * lanes) {
    const size_t size = size_t((shared ? 1 : kSamples) * slots);
    for (auto* part : {&x, &k, &s, &d, &end, &late_k, &late_s}) part->resize(size);
    group.resize(size / lanes), most.resize(size / lanes), source.resize(size), count.resize(size / size_t(slots));
    gap.resize(size_t(slots)), span.resize(size_t(slots));
  }

  template <int kind>
  void read(const saltation::Layer<T>& layer, const Membrane<T, kind>& membrane, int64_t from, int64_t to) {
    if (shared && first >= 0) return;
    first = from;
    for (int64_t b = from; b < (shared ? from + 1 : to); ++b) {
      collect(layer, b, arrivals);
      in_order(arrivals, spare, start_of_slot);
      const int64_t offset = (b - from) * slots;
      const int number = count[size_t(b - from)] = int(arrivals.size());
      T* const ends = end.data() + offset;
      for (int n = 0; n < number; ++n) ends[n] = arrivals[n].time, source[offset + n] = arrivals[n].source;
      ends[number] = T(layer.t1);
      for (int n = 0; n < slots; ++n) gap[n] = n <= number ? ends[n] - (n ? ends[n - 1] : T(0)) : T(0);
      for (int n = 0; n <= number; n += lanes) {
        const Flow<Vec<T>> f = membrane.flow(load<T>(gap.data() + n));
        const int64_t at = offset + n;
        store<T>(&x[at], f.x), store<T>(&k[at], f.k), store<T>(&s[at], f.s), store<T>(&d[at], f.d);
      }
      const int groups = number / lanes;
      for (int g = 0; g < groups; ++g) {
        const T last = ends[g * lanes + lanes - 1];
        span[g] = last - (g ? ends[g * lanes - 1] : T(0));
        const Flow<Vec<T>> f = membrane.flow(last - load<T>(ends + g * lanes));
        store<T>(&late_k[offset + g * lanes], f.k), store<T>(&late_s[offset + g * lanes], f.s);
      }
      for (int g = 0; g < groups; g += lanes) {
        const Vec<T> u = load<T>(span.data() + g);
        const Flow<Vec<T>> f = membrane.flow(u);
        const Vec<T> largest = membrane.most(u, f.k);
        for (int l = 0; l < lanes && g + l < groups; ++l) {
          group[offset / lanes + g + l] = {f.x[l], f.k[l], f.s[l], f.d[l]}, most[offset / lanes + g + l] = largest[l];
        }
      }
    }
  }

  // Where a sample's intervals begin.
  int64_t offset(int64_t sample) const { return shared ? 0 : (sample - first) * slots; }

  __attribute__((always_inline)) Flow<T> flow(int64_t n) const { return {x[n], k[n], s[n], d[n]}; }

 private:
  std::vector<Arrival<T>> arrivals, spare;
  std::vector<int32_t> start_of_slot;
  std::vector<T> gap, span;
};

// Neurons that see the arrivals in one order: the decay over an interval is computed once a sample. A group of arrivals is
// taken in one stride, unless the potential may come close to the threshold in it.
template <typename T, int kind, int registers>
void search_shared(const saltation::Layer<T>& layer, saltation::Spikes<T> spikes) {
  constexpr int lanes = kLanes<T>;
  const Membrane<T, kind> membrane(layer.tau_mem, layer.tau_syn);
  Timeline<T> timeline(layer);
  const auto prepare = [&](int64_t first, int64_t last, const Packed<T>&) { timeline.read(layer, membrane, first, last); };
  each_block<T, kind, registers>(layer, kSamples, true, prepare, [&](int64_t b, const Block<T, registers>& block, Packed<T>& weight, Packed<T>&) {
    const int64_t offset = timeline.offset(b);
    const int count = timeline.count[offset / timeline.slots];
    const T* const end = &timeline.end[offset];
    const T* const rows = weight.row(block.number, 0);
    const auto kick = [&](int k, auto r) { return load<T>(rows + timeline.source[offset + k] * block.width + r * lanes); };
    Walker<T, kind> walker[registers];
    unrolled<registers>([&](auto r) { walker[r].begin(block.start[r], block.real[r]); });
    // One register across one interval.
    const auto step = [&](int k, auto r) __attribute__((always_inline)) {
      const T start = k ? end[k - 1] : T(0);
      const Vec<T> w = walker[r].w, i = walker[r].i;
      const Flow<T> flow = timeline.flow(offset + k);
      walker[r].move(flow, block.drive[r], k < count ? kick(k, r) : Vec<T>{});
      walker[r].test(membrane, flow, w, i, all<T>(start), all<T>(end[k] - start), block.theta[r], block.drive[r]);
    };
    int k = 0;
    for (; k + lanes <= count; k += lanes) {
      const Flow<T> flow = timeline.group[(offset + k) / lanes];
      const T most = timeline.most[(offset + k) / lanes];
      Mask<T> waiting{};
      Vec<T> w[registers], i[registers], upwards[registers];
      unrolled<registers>([&](auto r) {
        const auto& at = walker[r];
        w[r] = at.w * flow.x + at.i * flow.k + block.drive[r] * flow.d, i[r] = at.i * flow.s;
        upwards[r] = larger<T>(at.i, Vec<T>{});
      });
      for (int l = 0; l < lanes; ++l) {
        const T late_k = timeline.late_k[offset + k + l], late_s = timeline.late_s[offset + k + l];
        unrolled<registers>([&](auto r) {
          const Vec<T> added = kick(k + l, r);
          w[r] += added * late_k, i[r] += added * late_s, upwards[r] += larger<T>(added, Vec<T>{});
        });
      }
      unrolled<registers>([&](auto r) {
        Walker<T, kind>& at = walker[r];
        const Vec<T> bound = larger<T>(at.w, at.w * flow.x) + upwards[r] * most + larger<T>(block.drive[r] * flow.d, Vec<T>{});
        if (any((bound >= block.close[r]) & at.waiting)) {
          for (int l = 0; l < lanes; ++l) step(k + l, r);
        } else {
          at.w = w[r], at.i = i[r];
        }
        waiting |= at.waiting;
      });
      if (!any(waiting)) break;
    }
    if (k + lanes > count) {
      for (; k <= count; ++k) unrolled<registers>([&](auto r) { step(k, r); });
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
  const auto prepare = [](int64_t, int64_t, const Packed<T>&) {};
  each_block<T, kind, registers>(layer, kSamples, true, prepare, [&](int64_t b, const Block<T, registers>& block, Packed<T>& weight, Packed<T>& delay) {
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
