// Membranes: how the potential moves between arrivals, measured from where its constant current takes it.
//
//   leaky:      tau_mem dw/dt = -w + i,  tau_syn di/dt = -i,  w = v - drive, so that w starts at -drive
//   leak-free:  tau_mem dw/dt = i + drive, w = v; tau_mem is the capacitance
#pragma once

#include <algorithm>
#include <cmath>

#include "call.h"
#include "elementary.h"

namespace SALTATION_ARCH {

using saltation::Kind;

// How `u` without an arrival changes the state: w -> w x + i k + drive d, i -> i s. N is a number or a vector of lanes.
template <typename N>
struct Flow {
  N x, k, s, d;
};

template <typename T, int kind>
struct Membrane {
  T tau_mem, tau_syn, rate_mem, rate_syn, delta, slower, quotient, peak_time, peak_response;

  Membrane(double mem, double syn)
      : tau_mem(T(mem)),
        tau_syn(T(syn)),
        rate_mem(T(1 / mem)),
        rate_syn(T(1 / syn)),
        delta(T(1 / syn - 1 / mem)),
        slower(T(1 / std::max(mem, syn))),
        quotient(T(kind == Kind::kLeakFree ? syn / mem : 1 / (mem * (1 / syn - 1 / mem)))) {
    // The response to a unit kick is largest here; without a leak, at the end of time.
    const double ratio = syn / mem;
    const bool equal = std::abs(ratio - 1) < 1e-6;
    const double time = equal ? syn : std::log(ratio) / (1 / mem - 1 / syn);
    const double largest = equal ? std::exp(-1.0) : std::pow(ratio, 1 / (1 - ratio));
    const bool leaky = kind != Kind::kLeakFree;
    peak_time = leaky ? T(time) : std::numeric_limits<T>::infinity();
    peak_response = T((leaky ? largest : ratio) * (1 + 1e-5));
  }

  using V = Vec<T>;
  using M = Mask<T>;

  Flow<V> flow(V u) const {
    if constexpr (kind == Kind::kLeakFree) {
      const V s = exponential<T>(-u * rate_syn);
      return {all<T>(1), u * rate_mem * phi<T>(u * rate_syn), s, u * rate_mem};
    }
    const V x = exponential<T>(-u * rate_mem);
    if constexpr (kind == Kind::kDouble) return {x, x - x * x, x * x, V{}};
    if constexpr (kind == Kind::kEqual) return {x, u * rate_mem * x, x, V{}};
    const V fast = phi<T>(u * (delta < 0 ? -delta : delta));
    return {x, u * rate_mem * exponential<T>(-u * slower) * fast, exponential<T>(-u * rate_syn), V{}};
  }

  // The largest k in an interval of `u` at whose end it is `k`.
  V most(V u, V k) const { return choose<T>(u < peak_time, k, all<T>(peak_response)); }

  // kappa and what is left of a kick, from the exponentials of -u / tau_mem and -u / tau_syn (or one of them).
  Flow<V> kernel(V u, V x, V s) const {
    if constexpr (kind == Kind::kDouble) return {x, x - x * x, x * x, V{}};
    if constexpr (kind == Kind::kEqual) return {x, u * rate_mem * x, x, V{}};
    if constexpr (kind == Kind::kLeakFree) return {x, (T(1) - s) * quotient, s, V{}};
    return {x, (x - s) * quotient, s, V{}};
  }

  V step(V u) const {
    if constexpr (kind == Kind::kLeakFree) return u * rate_mem;
    return T(1) - exponential<T>(-u * rate_mem);
  }

  // tau_mem dw/dt
  V drift(V w, V i, V drive) const {
    if constexpr (kind == Kind::kLeakFree) return i + drive;
    return i - w;
  }

  // Whether the maximum, known to lie inside the interval, reaches the threshold.
  M peak_reaches(V w, V i, V theta, V drive) const {
    if constexpr (kind == Kind::kDouble) {
      const V a = w + i;
      return a * a >= T(4) * i * theta;
    } else if constexpr (kind == Kind::kEqual) {
      const V safe = choose<T>((i > 0) & (theta > 0), i, all<T>(1));
      return (theta <= 0) | (w + i * (logarithm<T>(safe / choose<T>(theta > 0, theta, all<T>(1))) - T(1)) >= 0);
    } else {
      const Flow<V> f = flow(peak(w, i, drive));
      return w * f.x + i * f.k + drive * f.d >= theta;
    }
  }

  // Where dw/dt = 0, for a state that rises now and falls later.
  V peak(V w, V i, V drive) const {
    const V safe = choose<T>(i == 0, all<T>(1), i);
    if constexpr (kind == Kind::kLeakFree) {
      const V ratio = -safe / choose<T>(drive == 0, all<T>(1), drive);
      return tau_syn * logarithm<T>(larger<T>(ratio, all<T>(1)));
    } else if constexpr (kind == Kind::kEqual) {
      return tau_syn * (T(1) - w / safe);
    } else {
      const V y = -delta * tau_syn * (T(1) - w / safe);
      return larger<T>(-log1p<T>(larger<T>(y, all<T>(T(-0.999999)))) / delta, V{});
    }
  }

  // When w reaches theta, for lanes in which it does so after at most `gap`; anything in [0, gap] for the others.
  V root(V w, V i, V theta, V gap, V drive, M hit, V start) const {
    V u;
    if constexpr (kind == Kind::kDouble) {
      // Of the two forms of the larger root x, the one whose terms have the same sign.
      const V a = w + i;
      const V r = square_root<T>(larger<T>(a * a - T(4) * i * theta, V{}));
      const V x = choose<T>(a >= 0, (a + r) / (T(2) * choose<T>(i == 0, all<T>(1), i)),
                            T(2) * theta / choose<T>(a - r == 0, all<T>(1), a - r));
      u = -tau_mem * logarithm<T>(choose<T>(hit & (x > 0), x, all<T>(1)));
    } else if constexpr (kind == Kind::kEqual) {
      u = tau_mem * lambert(w, i, theta);
      if (any(hit & ~((i > 0) & (theta > 0)))) {
        u = choose<T>((i > 0) & (theta > 0), u, newton(w, i, theta, gap, drive, hit, start));
      }
    } else if constexpr (kind == Kind::kLeakFree) {
      const V y = -(theta - w) / (quotient * choose<T>(i == 0, all<T>(1), i));
      u = -tau_syn * log1p<T>(choose<T>(y > T(-1), y, V{}));
      if (any(hit & (drive != 0))) u = choose<T>(drive == 0, u, newton(w, i, theta, gap, drive, hit, start));
    } else {
      u = newton(w, i, theta, gap, drive, hit, start);
    }
    return smaller<T>(larger<T>(u, V{}), gap);
  }

 private:
  // The first z with (w + i z) exp(-z) = theta, for i > 0 and theta > 0: z = log(i / theta) - y, where
  // y - 1 + exp(-y) = e is by how much the maximum, in units of i, is above the threshold. This is Lambert's principal
  // branch, y = 1 + e + W(-exp(-1 - e)), in a form that neither overflows nor cancels.
  V lambert(V w, V i, V theta) const {
    const M good = (i > 0) & (theta > 0);
    i = choose<T>(good, i, all<T>(1));
    const V top = logarithm<T>(choose<T>(good, i / theta, all<T>(1)));
    const V e = larger<T>(w / i + top - T(1), V{});
    const V s = square_root<T>(e + e);
    const V near = s * (T(1) + s * (T(1.0 / 6) + s * (T(1.0 / 36) - s * T(1.0 / 270))));
    V y = choose<T>(e < 1, near, T(1) + e - exponential<T>(T(-1) - e));
    for (int n = 0; n < 3; ++n) {
      const V decay = exponential<T>(-y);
      const V h = decay - T(1) + y - e, slope = T(1) - decay;
      const V step = h * slope / larger<T>(slope * slope - T(0.5) * h * decay, all<T>(T(1e-30)));
      y = choose<T>(y > T(0.03), y - step, y);
    }
    return top - y;
  }

  // Newton's iteration on a bracket at whose low end w is below theta and at whose high end it is not.
  V newton(V w, V i, V theta, V gap, V drive, M hit, V start) const {
    const Flow<V> end = flow(gap);
    const V w_end = w * end.x + i * end.k + drive * end.d;
    const M turns = (drift(w, i, drive) > 0) & (drift(w_end, i * end.s, drive) < 0);
    V low{}, high = choose<T>(turns, smaller<T>(peak(w, i, drive), gap), gap);
    high = choose<T>(hit, high, V{});
    // Close to a maximum w is a parabola with its vertex at the high end: its root is a good first guess there.
    const Flow<V> at = flow(high);
    const V top = w * at.x + i * at.k + drive * at.d - theta;
    const V bend = i * at.s * rate_syn + drift(top + theta, i * at.s, drive) * (kind == Kind::kLeakFree ? T(0) : rate_mem);
    const V back = square_root<T>(larger<T>(T(2) * top * tau_mem / choose<T>(bend > 0, bend, all<T>(1)), V{}));
    V u = high - back;
    u = choose<T>((bend > 0) & (u > low) & (u < high), u, T(0.5) * high);
    constexpr T eps = std::numeric_limits<T>::epsilon();
    for (int n = 0; n < 100; ++n) {
      const Flow<V> f = flow(u);
      const V value = w * f.x + i * f.k + drive * f.d;
      const V slope = drift(value, i * f.s, drive) * rate_mem;
      const M below = value < theta;
      low = choose<T>(below, u, low);
      high = choose<T>(below, high, u);
      const V next = u - (value - theta) / choose<T>(slope > 0, slope, all<T>(1));
      const M inside = (slope > 0) & (next >= low) & (next <= high);
      const V following = choose<T>(inside, next, T(0.5) * (low + high));
      const M moving = magnitude<T>(following - u) > T(2) * eps * (start + u + tau_mem);
      u = following;
      if (!any(hit & moving)) break;
    }
    return u;
  }
};

}  // namespace SALTATION_ARCH
