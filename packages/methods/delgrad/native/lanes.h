// Vectors of neurons: as many numbers as fit into one register of the processor this is compiled for. Written with the
// vector extension that GCC and Clang share.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>

#if defined(__AVX__) || defined(__SSE2__)
#include <immintrin.h>
#endif

namespace SALTATION_ARCH {

#if defined(__AVX2__)
constexpr int kRegisterBytes = 32;
#else
constexpr int kRegisterBytes = 16;
#endif

template <typename T>
struct LaneTypes;

template <>
struct LaneTypes<float> {
  typedef float V __attribute__((vector_size(kRegisterBytes)));
  typedef int32_t I __attribute__((vector_size(kRegisterBytes)));
  using Int = int32_t;
  static constexpr int mantissa = 23, bias = 127, exp_terms = 7, log_terms = 5;
  static constexpr float round = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
  static constexpr float exp_low = -87.0f, exp_high = 87.0f;
};

template <>
struct LaneTypes<double> {
  typedef double V __attribute__((vector_size(kRegisterBytes)));
  typedef int64_t I __attribute__((vector_size(kRegisterBytes)));
  using Int = int64_t;
  static constexpr int mantissa = 52, bias = 1023, exp_terms = 12, log_terms = 11;
  static constexpr double round = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr double ln2_high = 6.93145751953125e-1, ln2_low = 1.42860682030941723212e-6;
  static constexpr double exp_low = -700.0, exp_high = 700.0;
};

template <typename T>
using Vec = typename LaneTypes<T>::V;
template <typename T>
using Mask = typename LaneTypes<T>::I;  // all bits of a lane set, or none
template <typename T>
constexpr int kLanes = kRegisterBytes / static_cast<int>(sizeof(T));

template <typename T>
inline Vec<T> all(T x) {
  return Vec<T>{} + x;
}

template <typename T>
inline Vec<T> load(const T* from) {
  Vec<T> v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}

template <typename T>
inline void store(T* to, Vec<T> v) {
  __builtin_memcpy(to, &v, sizeof v);
}

template <typename T>
inline Vec<T> as_floats(Mask<T> bits) {
  Vec<T> v;
  __builtin_memcpy(&v, &bits, sizeof v);
  return v;
}

template <typename T>
inline Mask<T> as_bits(Vec<T> v) {
  Mask<T> bits;
  __builtin_memcpy(&bits, &v, sizeof v);
  return bits;
}

template <typename T>
inline Vec<T> choose(Mask<T> mask, Vec<T> yes, Vec<T> no) {
  return mask ? yes : no;
}

template <typename T>
inline Vec<T> smaller(Vec<T> a, Vec<T> b) {
#if defined(__AVX2__)
  // The same, but the compilers do not see it.
  if constexpr (sizeof(T) == 4) return (Vec<T>)_mm256_min_ps((__m256)a, (__m256)b);
  return (Vec<T>)_mm256_min_pd((__m256d)a, (__m256d)b);
#else
  return a < b ? a : b;
#endif
}

template <typename T>
inline Vec<T> larger(Vec<T> a, Vec<T> b) {
#if defined(__AVX2__)
  if constexpr (sizeof(T) == 4) return (Vec<T>)_mm256_max_ps((__m256)a, (__m256)b);
  return (Vec<T>)_mm256_max_pd((__m256d)a, (__m256d)b);
#else
  return a > b ? a : b;
#endif
}

template <typename T>
inline Vec<T> magnitude(Vec<T> a) {
  return a < 0 ? -a : a;
}

template <typename Visit, int... r>
inline void unroll(Visit& visit, std::integer_sequence<int, r...>) {
  (visit(std::integral_constant<int, r>{}), ...);
}

// Calls `visit(0)` to `visit(n - 1)` with numbers that are known when compiled: only so does what an array of registers
// holds stay in registers.
template <int n, typename Visit>
inline void unrolled(Visit visit) {
  unroll(visit, std::make_integer_sequence<int, n>{});
}

// Whether any lane of a mask is set.
inline bool any(Mask<float> mask) {
#if defined(__AVX2__)
  return _mm256_movemask_ps((__m256)mask) != 0;
#elif defined(__SSE2__)
  return _mm_movemask_ps((__m128)mask) != 0;
#else
  int32_t bits = 0;
  for (int l = 0; l < kLanes<float>; ++l) bits |= mask[l];
  return bits != 0;
#endif
}

inline bool any(Mask<double> mask) {
#if defined(__AVX2__)
  return _mm256_movemask_pd((__m256d)mask) != 0;
#elif defined(__SSE2__)
  return _mm_movemask_pd((__m128d)mask) != 0;
#else
  int64_t bits = 0;
  for (int l = 0; l < kLanes<double>; ++l) bits |= mask[l];
  return bits != 0;
#endif
}

// In how many lanes of a mask.
template <typename T>
inline int count(Mask<T> mask) {
#if defined(__AVX2__)
  if constexpr (sizeof(T) == 4) return __builtin_popcount(unsigned(_mm256_movemask_ps((__m256)mask)));
  return __builtin_popcount(unsigned(_mm256_movemask_pd((__m256d)mask)));
#else
  int number = 0;
  for (int l = 0; l < kLanes<T>; ++l) number -= int(mask[l]);
  return number;
#endif
}

// The lanes of a mask from memory, 0 elsewhere, where nothing is touched; the mask is of the first lanes.
template <typename T>
inline Vec<T> load_some(const T* from, Mask<T> mask) {
#if defined(__AVX2__)
  if constexpr (sizeof(T) == 4) {
    return (Vec<T>)_mm256_maskload_ps((const float*)from, (__m256i)mask);
  } else {
    return (Vec<T>)_mm256_maskload_pd((const double*)from, (__m256i)mask);
  }
#else
  Vec<T> v{};
  for (int l = 0; l < kLanes<T> && mask[l]; ++l) v[l] = from[l];
  return v;
#endif
}

template <typename T>
inline void store_some(T* to, Mask<T> mask, Vec<T> v) {
#if defined(__AVX2__)
  if constexpr (sizeof(T) == 4) {
    _mm256_maskstore_ps((float*)to, (__m256i)mask, (__m256)v);
  } else {
    _mm256_maskstore_pd((double*)to, (__m256i)mask, (__m256d)v);
  }
#else
  for (int l = 0; l < kLanes<T> && mask[l]; ++l) to[l] = v[l];
#endif
}

// The entries `from[at]` of each lane.
template <typename T>
inline Vec<T> gather(const T* from, Mask<T> at) {
#if defined(__AVX2__)
  if constexpr (sizeof(T) == 4) {
    return (Vec<T>)_mm256_i32gather_ps((const float*)from, (__m256i)at, sizeof(T));
  } else {
    return (Vec<T>)_mm256_i64gather_pd((const double*)from, (__m256i)at, sizeof(T));
  }
#else
  Vec<T> v;
  for (int l = 0; l < kLanes<T>; ++l) v[l] = from[at[l]];
  return v;
#endif
}

template <typename T>
inline T sum(Vec<T> v) {
#if defined(__AVX2__)
  if constexpr (sizeof(T) == 4) {
    const __m128 halves = _mm_add_ps(_mm256_castps256_ps128((__m256)v), _mm256_extractf128_ps((__m256)v, 1));
    const __m128 quarters = _mm_add_ps(halves, _mm_movehl_ps(halves, halves));
    return _mm_cvtss_f32(_mm_add_ss(quarters, _mm_movehdup_ps(quarters)));
  }
#endif
  T total = 0;
  for (int l = 0; l < kLanes<T>; ++l) total += v[l];
  return total;
}

template <typename T>
inline Vec<T> square_root(Vec<T> v) {
  Vec<T> root;
  for (int l = 0; l < kLanes<T>; ++l) root[l] = std::sqrt(v[l]);
  return root;
}

#if defined(__AVX2__)
template <>
inline Vec<float> square_root<float>(Vec<float> v) {
  return (Vec<float>)_mm256_sqrt_ps((__m256)v);
}
template <>
inline Vec<double> square_root<double>(Vec<double> v) {
  return (Vec<double>)_mm256_sqrt_pd((__m256d)v);
}
#endif

}  // namespace SALTATION_ARCH
