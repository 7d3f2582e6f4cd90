// Blocks of neurons, one a lane, and the weights packed to match.
#pragma once

#include <cstring>
#include <vector>

#include "arrivals.h"
#include "membrane.h"

namespace SALTATION_ARCH {

// A matrix `[rows, neurons]` in blocks of `width` neurons, `[blocks][rows][width]`, filled up with zeros.
template <typename T>
struct Packed {
  std::vector<T> data;
  int64_t rows, width;

  Packed(int64_t rows, int64_t neurons, int64_t width)
      : data(size_t(rows * ((neurons + width - 1) / width) * width)), rows(rows), width(width) {}

  T* row(int64_t block, int64_t row) { return data.data() + (block * rows + row) * width; }

  void pack(const T* from, int64_t neurons) {
    for (int64_t j = 0; j < neurons; j += width) {
      const int64_t n = std::min(width, neurons - j);
      for (int64_t r = 0; r < rows; ++r) std::memcpy(row(j / width, r), from + r * neurons + j, size_t(n) * sizeof(T));
    }
  }

  void add_to(T* to, int64_t neurons) const {
    for (int64_t j = 0; j < neurons; j += width) {
      const int64_t n = std::min(width, neurons - j);
      for (int64_t r = 0; r < rows; ++r) {
        const T* from = data.data() + (j / width * rows + r) * width;
        for (int64_t l = 0; l < n; ++l) to[r * neurons + j + l] += from[l];
      }
    }
  }
};

// A block of neurons and their constants. Lanes beyond the last neuron have a threshold that is never reached.
template <typename T, int registers>
struct Block {
  static constexpr int width = registers * kLanes<T>;
  int64_t number, first, neurons;
  // `close`: just below the threshold, by more than what rounding does.
  Vec<T> theta[registers], close[registers], drive[registers], start[registers], late[registers];
  Mask<T> real[registers];

  // A leaky potential is measured from where its drive takes it.
  void set(const saltation::Layer<T>& layer, int64_t sample, int64_t block, bool leaky) {
    number = block, first = block * width, neurons = layer.neurons;
    for (int r = 0; r < registers; ++r) {
      real[r] = Mask<T>{};
      for (int l = 0; l < kLanes<T>; ++l) real[r][l] = first + r * kLanes<T> + l < neurons ? -1 : 0;
      const Vec<T> given = layer.theta ? read(layer.theta.at(sample), 0, r) : all<T>(T(layer.threshold));
      theta[r] = choose<T>(real[r], given, all<T>(std::numeric_limits<T>::max()));
      drive[r] = layer.drive ? read(layer.drive.at(sample), 0, r) : Vec<T>{};
      late[r] = layer.dendritic ? read(layer.dendritic.at(sample), 0, r) : Vec<T>{};
      start[r] = leaky ? -drive[r] : Vec<T>{};
      if (leaky) theta[r] -= drive[r];
      constexpr T slack = 16 * std::numeric_limits<T>::epsilon();
      close[r] = theta[r] - slack * (magnitude<T>(theta[r]) + magnitude<T>(drive[r]));
    }
  }

  // Lanes of an array `[..., neurons]` from `offset` on; 0 beyond the last neuron.
  Vec<T> read(const T* from, int64_t offset, int r) const {
    return load_some<T>(from + offset + first + r * kLanes<T>, real[r]);
  }

  void write(T* to, int64_t sample, int r, Vec<T> v) const {
    store_some<T>(to + sample * neurons + first + r * kLanes<T>, real[r], v);
  }

  void add(T* to, int r, Vec<T> v) const {
    to += first + r * kLanes<T>;
    store_some<T>(to, real[r], load_some<T>(to, real[r]) + v);
  }
};

// How many samples are taken at a time: what is known of their arrivals stays in the cache while the blocks go by.
constexpr int64_t kSamples = 16;

// Calls `visit(sample, block, weight, delay)` for all samples and blocks of neurons: a few samples of one block in a row,
// so that its weights stay in the cache, if the samples share them: `together`, 1 for one by one. Before the visits of some
// samples it calls `prepare(first, last, delay)`. Weights are packed if `weighted`: for wide layers that takes a while.
template <typename T, int kind, int registers, typename Prepare, typename Visit>
void each_block(const saltation::Layer<T>& layer, int64_t together, bool weighted, Prepare prepare, Visit visit) {
  constexpr bool leaky = kind != saltation::kLeakFree;
  using B = Block<T, registers>;
  Packed<T> weight(weighted ? layer.sources : 0, layer.neurons, B::width);
  Packed<T> delay(layer.delay ? layer.sources : 0, layer.neurons, B::width);
  const int64_t blocks = (layer.neurons + B::width - 1) / B::width;
  const bool own = layer.weight.stride || layer.delay.stride, varies = layer.theta.stride || layer.drive.stride || layer.dendritic.stride;
  const int64_t samples = own ? 1 : together;
  B block;
  for (int64_t first = 0; first < layer.batch; first += samples) {
    if (first == 0 || own) {
      weight.pack(layer.weight.at(first), layer.neurons);
      if (layer.delay) delay.pack(layer.delay.at(first), layer.neurons);
    }
    const int64_t last = std::min(first + samples, layer.batch);
    prepare(first, last, delay);
    for (int64_t number = 0; number < blocks; ++number) {
      block.set(layer, first, number, leaky);
      for (int64_t b = first; b < last; ++b) {
        if (varies) block.set(layer, b, number, leaky);
        visit(b, block, weight, delay);
      }
    }
  }
}

}  // namespace SALTATION_ARCH
