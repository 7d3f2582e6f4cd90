// The kernel for the processor that this runs on.
#pragma once

#include "call.h"

#if SALTATION_X86
#define SALTATION_DECLARE(arch)                                   \
  namespace arch {                                                \
  extern const saltation::Functions<float> float_functions;       \
  extern const saltation::Functions<double> double_functions;     \
  }
SALTATION_DECLARE(x86_64_v3)
#endif
namespace baseline {
extern const saltation::Functions<float> float_functions;
extern const saltation::Functions<double> double_functions;
}

namespace saltation {

inline bool has_avx2() {
#if SALTATION_X86
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
#else
  return false;
#endif
}

template <typename T>
const Functions<T>& functions() {
  static const bool fast = has_avx2();
  (void)fast;
  if constexpr (sizeof(T) == 4) {
#if SALTATION_X86
    if (fast) return x86_64_v3::float_functions;
#endif
    return baseline::float_functions;
  } else {
#if SALTATION_X86
    if (fast) return x86_64_v3::double_functions;
#endif
    return baseline::double_functions;
  }
}

}  // namespace saltation
