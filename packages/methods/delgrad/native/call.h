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

// A layer and its batch. An arrival k comes from source[k] at time[k], and adds weight[source[k], j] to the current of
// neuron j, delay[source[k], j] later. A negative source is padding.
template <typename T>
struct Layer {
  int64_t batch, arrivals, sources, neurons;
  Operand<const T> time, weight, delay, drive, theta;
  Operand<const int32_t> source;
  int32_t kind;
  double tau_mem, tau_syn, t1;
};

template <typename T>
struct Spikes {
  T* time;   // [batch, neurons]
  T* slope;  // [batch, neurons]
};

// Gradients that are wanted; a stride of 0 sums over the batch. All are set to zero by the caller.
template <typename T>
struct Gradients {
  Operand<T> time, weight, delay, drive, theta;
  double limit;  // of the weight gradient of a neuron in a sample; 0 for none
};

template <typename T>
struct Functions {
  void (*search)(const Layer<T>&, Spikes<T>);
  void (*slope)(const Layer<T>&, Spikes<T>);  // at given times
  void (*pull_back)(const Layer<T>&, const Spikes<T>&, const T* cotangent, const Gradients<T>&);
};

}  // namespace saltation
