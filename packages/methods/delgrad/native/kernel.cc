// The kernel for one family of processors, named by SALTATION_ARCH: compiled once for each, chosen at run time.
#include "pull_back.h"
#include "samples.h"
#include "search.h"
#include "weights.h"

namespace SALTATION_ARCH {

// Calls `use(kind, registers)`, both known when compiled. Two registers at a time hide the processor's latencies, where
// there are neurons for two.
template <typename T, typename Use>
void with_constants(const saltation::Layer<T>& layer, Use use) {
  using std::integral_constant;
  auto with_kind = [&](auto kind) {
#if defined(__AVX2__)
    if (layer.neurons > kLanes<T>) return use(kind, integral_constant<int, 2>{});
#endif
    use(kind, integral_constant<int, 1>{});
  };
  switch (layer.kind) {
    case saltation::kDouble: return with_kind(integral_constant<int, saltation::kDouble>{});
    case saltation::kEqual: return with_kind(integral_constant<int, saltation::kEqual>{});
    case saltation::kLeakFree: return with_kind(integral_constant<int, saltation::kLeakFree>{});
    default: return with_kind(integral_constant<int, saltation::kGeneral>{});
  }
}

template <typename T>
void search(const saltation::Layer<T>& layer, saltation::Spikes<T> spikes) {
  with_constants<T>(layer, [&](auto kind, auto registers) {
    if (few_neurons(layer)) {
      search_samples<T, kind.value>(layer, spikes);
    } else if (layer.delay) {
      search_own<T, kind.value, registers.value>(layer, spikes);
    } else {
      search_shared<T, kind.value, registers.value>(layer, spikes);
    }
  });
}

template <typename T>
void slope(const saltation::Layer<T>& layer, saltation::Spikes<T> spikes) {
  with_constants<T>(layer, [&](auto kind, auto) { slope_at<T, kind.value>(layer, spikes); });
}

template <typename T>
void pull(const saltation::Layer<T>& layer, const saltation::Spikes<T>& spikes, const T* cotangent,
          const saltation::Gradients<T>& gradients) {
  with_constants<T>(layer, [&](auto kind, auto registers) {
    const auto use = [&](auto factored) {
      if (few_neurons(layer, gradients)) {
        pull_back_samples<T, kind.value, factored.value>(layer, spikes, cotangent, gradients);
      } else if (factored.value && sources_alone(layer, gradients)) {
        pull_back_sources<T, kind.value, registers.value>(layer, spikes, cotangent, gradients);
      } else {
        pull_back<T, kind.value, registers.value, factored.value>(layer, spikes, cotangent, gradients);
      }
    };
    factors<T, kind.value>(layer) ? use(std::true_type{}) : use(std::false_type{});
  });
}

// One type of numbers an object file, so that both are compiled at the same time.
extern const saltation::Functions<SALTATION_NUMBER> SALTATION_FUNCTIONS = {
    search<SALTATION_NUMBER>, slope<SALTATION_NUMBER>, pull<SALTATION_NUMBER>};

}  // namespace SALTATION_ARCH
