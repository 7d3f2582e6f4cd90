// The elementary functions that the kernel takes of vectors.
#pragma once

#include "lanes.h"

namespace SALTATION_ARCH {

constexpr double factorial(int n) { return n > 1 ? n * factorial(n - 1) : 1; }

// exp(x) to about one unit in the last place; arguments beyond the range of the type are clamped to it.
template <typename T>
inline Vec<T> exponential(Vec<T> x) {
  using L = LaneTypes<T>;
  x = larger<T>(smaller<T>(x, all<T>(L::exp_high)), all<T>(L::exp_low));
  const Vec<T> shifted = x * T(1.44269504088896340736) + L::round;
  const Vec<T> n = shifted - L::round;
  const Vec<T> r = (x - n * L::ln2_high) - n * L::ln2_low;
  Vec<T> series = all<T>(T(1 / factorial(L::exp_terms)));
  unrolled<L::exp_terms>([&](auto n) {
    constexpr T coefficient = T(1 / factorial(L::exp_terms - 1 - n));
    series = series * r + coefficient;
  });
  const Mask<T> power = as_bits<T>(shifted) - as_bits<T>(all<T>(L::round)) + typename L::Int(L::bias);
  return series * as_floats<T>(power << L::mantissa);
}

// log(1 + y) for y > -1, without loss where y is small.
template <typename T>
inline Vec<T> log1p(Vec<T> y) {
  using L = LaneTypes<T>;
  using Int = typename L::Int;
  const Vec<T> x = y + T(1);
  const Mask<T> bits = as_bits<T>(x);
  // The mantissa goes into [sqrt(1/2), sqrt(2)).
  const Int fraction = (Int(1) << L::mantissa) - 1;
  const Mask<T> carry = (bits & fraction) > (fraction & Int(0.41421356237309503 * double(Int(1) << L::mantissa)));
  const Mask<T> e = ((bits >> L::mantissa) & (2 * L::bias + 1)) - Int(L::bias) - carry;
  const Mask<T> m_bits = (bits & fraction) | ((Mask<T>{} + Int(L::bias) + carry) << L::mantissa);
  const Vec<T> f = choose<T>(e == 0, y, as_floats<T>(m_bits) - T(1));
  const Vec<T> s = f / (f + T(2));
  const Vec<T> s2 = s * s;
  Vec<T> series = all<T>(T(1) / (2 * L::log_terms + 1));
  unrolled<L::log_terms>([&](auto n) {
    constexpr T coefficient = T(1) / T(2 * (L::log_terms - 1 - n) + 1);
    series = series * s2 + coefficient;
  });
  const Vec<T> exponent = as_floats<T>(e + as_bits<T>(all<T>(L::round))) - L::round;
  return exponent * L::ln2_high + (T(2) * s * series + exponent * L::ln2_low);
}

template <typename T>
inline Vec<T> logarithm(Vec<T> x) {
  return log1p<T>(x - T(1));
}

// (1 - exp(-z)) / z for z >= 0, by its series where the quotient cancels.
template <typename T>
inline Vec<T> phi(Vec<T> z) {
  constexpr int terms = sizeof(T) == 4 ? 7 : 13;
  const Vec<T> near = smaller<T>(z, all<T>(T(0.3)));
  // Known when compiled: the coefficients are not divided for each time.
  Vec<T> series = all<T>(T(1 / factorial(terms)));
  unrolled<terms - 1>([&](auto n) {
    constexpr T coefficient = T(1 / factorial(terms - 1 - n));
    series = coefficient - near * series;
  });
  const Vec<T> far = larger<T>(z, all<T>(T(0.3)));
  return choose<T>(z < T(0.3), series, (T(1) - exponential<T>(-far)) / far);
}

}  // namespace SALTATION_ARCH
