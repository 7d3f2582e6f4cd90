// What a call of the kernel gets: plain pointers, the same for every processor.
#pragma once

#include <cstdint>

namespace saltation {

enum Kind : int32_t {
  kDouble = 0,    // tau_mem = 2 tau_syn: a quadratic in exp(-u / tau_mem)
  kEqual = 1,     // tau_mem = tau_syn: Lambert's function
  kGeneral = 2,   // any other ratio: a bracketed Newton iteration
  kLeakFree = 3,  // no leak: a logarithm; with a current, the iteration
};

// An operand of a batch: sample b starts at data + b * stride, and a stride of 0 shares one array among all samples.
template <typename T>
struct Operand {
  T* data = nullptr;
  int64_t stride = 0;
  T* at(int64_t sample) const { return data + sample * stride; }
  explicit operator bool() const { return data != nullptr; }
};

// A layer and its batch. Arrival k comes from source[k], or from source k if there is no such operand; it is sent at
// time[k], axonal[source[k]] later it is on its way to all neurons, and delay[source[k], j] after that it adds
// weight[source[k], j] to the current of neuron j, whose spike is sent dendritic[j] late. A negative source is padding.
// What is not there delays nothing; without theta, all thresholds are `threshold`.
template <typename T>
struct Layer {
  int64_t batch, arrivals, sources, neurons;
  Operand<const T> time, weight, delay, drive, theta, axonal, dendritic;
  Operand<const int32_t> source;
  int32_t kind;
  double tau_mem, tau_syn, threshold, t1;

  // Calls `visit(k, time, source)` for all arrivals of a sample, which may be padding.
  template <typename Visit>
  void each_arrival(int64_t sample, Visit visit) const {
    const T *const sent = time.at(sample), *const late = axonal ? axonal.at(sample) : nullptr;
    const int32_t* const given = source ? source.at(sample) : nullptr;
    if (given && !late) {
      // As many as a picture has pixels: nothing is asked of each that is known of all.
      for (int64_t k = 0; k < arrivals; ++k) visit(k, sent[k], given[k]);
      return;
    }
    for (int64_t k = 0; k < arrivals; ++k) {
      const int32_t from = given ? given[k] : int32_t(k);
      visit(k, late && from >= 0 ? sent[k] + late[from] : sent[k], from);
    }
  }
};

template <typename T>
struct Spikes {
  T* time;   // [batch, neurons]
  T* slope;  // [batch, neurons]
};

// Gradients that are wanted; a stride of 0 sums over the batch. All are set to zero by the caller.
template <typename T>
struct Gradients {
  Operand<T> time, weight, delay, drive, theta, axonal, dendritic;
  double limit;  // of the weight gradient of a neuron in a sample; 0 for none
};

template <typename T>
struct Functions {
  void (*search)(const Layer<T>&, Spikes<T>);
  void (*slope)(const Layer<T>&, Spikes<T>);  // at given times
  void (*pull_back)(const Layer<T>&, const Spikes<T>&, const T* cotangent, const Gradients<T>&);
};

}  // namespace saltation
