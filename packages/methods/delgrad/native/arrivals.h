// The arrivals of a sample: which ones count, and in which order.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "call.h"
#include "lanes.h"

namespace SALTATION_ARCH {

template <typename T>
struct Arrival {
  T time;
  int32_t source;
  int32_t position;  // in the sample's array of times
};

// Whether all samples see the same arrivals.
template <typename T>
inline bool one_stimulus(const saltation::Layer<T>& layer) {
  return layer.time.stride == 0 && layer.source.stride == 0 && layer.axonal.stride == 0;
}

// The arrivals of one sample that come before `t1`, in the order given.
template <typename T>
inline void collect(const saltation::Layer<T>& layer, int64_t sample, std::vector<Arrival<T>>& found) {
  const T t1 = T(layer.t1);
  found.resize(size_t(layer.arrivals));
  size_t number = 0;
  layer.each_arrival(sample, [&](int64_t k, T time, int32_t source) {
    found[number] = {time, source, int32_t(k)};
    // Not a branch, which could not be foreseen. A NaN does not come either.
    number += size_t((time < t1) & (source >= 0));
  });
  found.resize(number);
}

// Sorts by time what lies evenly in time, roughly: into as many slots of time as there are arrivals, and then those of
// each slot.
template <typename T>
inline void by_slots(std::vector<Arrival<T>>& arrivals, std::vector<Arrival<T>>& spare, std::vector<int32_t>& start) {
  const auto earlier = [](const Arrival<T>& a, const Arrival<T>& b) { return a.time < b.time; };
  const size_t n = arrivals.size();
  const auto [first, last] = std::minmax_element(arrivals.begin(), arrivals.end(), earlier);
  const T from = first->time, slots_per_time = T(n - 1) / (last->time - from);
  if (!(slots_per_time < std::numeric_limits<T>::max())) return std::stable_sort(arrivals.begin(), arrivals.end(), earlier);
  const auto slot = [&](const Arrival<T>& a) { return std::min(size_t((a.time - from) * slots_per_time), n - 1); };
  start.assign(n + 2, 0), spare.resize(n);
  for (const auto& arrival : arrivals) ++start[slot(arrival) + 2];
  for (size_t k = 2; k <= n + 1; ++k) start[k] += start[k - 1];
  for (const auto& arrival : arrivals) spare[size_t(start[slot(arrival) + 1]++)] = arrival;
  arrivals.swap(spare);
  for (size_t k = 0; k < n; ++k) {
    const auto begin = arrivals.begin() + start[k], end = arrivals.begin() + start[k + 1];
    if (end - begin > 32) {
      std::stable_sort(begin, end, earlier);
    } else if (end - begin > 1) {
      for (auto at = begin + 1; at < end; ++at) {
        const Arrival<T> moved = *at;
        auto to = at;
        for (; to > begin && moved.time < (to - 1)->time; --to) *to = *(to - 1);
        *to = moved;
      }
    }
  }
}

// Sorts by time; of equal times, the first one given comes first. Few arrivals are ranked by counting who comes before
// whom, which has no branches to mispredict.
template <typename T>
inline void in_order(std::vector<Arrival<T>>& arrivals, std::vector<Arrival<T>>& spare, std::vector<int32_t>& start) {
  const int n = int(arrivals.size());
  bool ordered = true;
  for (int k = 1; k < n; ++k) ordered &= !(arrivals[k].time < arrivals[k - 1].time);
  if (ordered) return;
  constexpr int kFew = 64;
  if (n > kFew) {
    return by_slots(arrivals, spare, start);
  }
  T time[kFew + kLanes<T>];
  for (int k = 0; k < n; ++k) time[k] = arrivals[k].time;
  for (int k = n; k < n + kLanes<T>; ++k) time[k] = std::numeric_limits<T>::infinity();
  Mask<T> lane;
  for (int l = 0; l < kLanes<T>; ++l) lane[l] = l;
  spare.resize(n);
  for (int k = 0; k < n; ++k) {
    const Vec<T> mine = all<T>(time[k]);
    int rank = 0;
    for (int l = 0; l < n; l += kLanes<T>) {
      const Vec<T> other = load<T>(time + l);
      rank += count<T>((other < mine) | ((other == mine) & (lane < typename LaneTypes<T>::Int(k - l))));
    }
    spare[rank] = arrivals[k];
  }
  arrivals.swap(spare);
}

// Sorts each lane's column of `time[n][width]` and carries `row` along: Batcher's network, for any n (Knuth, The Art of
// Computer Programming, volume 3, algorithm 5.2.2M).
template <typename T, int registers>
inline void sort_columns(Vec<T>* time, Vec<T>* row, int n) {
  int top = 1;
  while (2 * top < n) top *= 2;
  for (int p = n > 1 ? top : 0; p > 0; p /= 2) {
    int q = top, r = 0, d = p;
    while (true) {
      for (int i = 0; i < n - d; ++i) {
        if ((i & p) != r) continue;
        for (int k = 0; k < registers; ++k) {
          Vec<T>&a = time[i * registers + k], &b = time[(i + d) * registers + k];
          Vec<T>&x = row[i * registers + k], &y = row[(i + d) * registers + k];
          const Mask<T> swap = b < a;
          const Vec<T> first = choose<T>(swap, b, a), last = choose<T>(swap, a, b);
          const Vec<T> x_first = choose<T>(swap, y, x), x_last = choose<T>(swap, x, y);
          a = first, b = last, x = x_first, y = x_last;
        }
      }
      if (q == p) break;
      d = q - p, q /= 2, r = p;
    }
  }
}

}  // namespace SALTATION_ARCH
