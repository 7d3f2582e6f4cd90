// The kernel's doors for XLA. Every operand of a layer comes with a leading axis, of the batch or of 1 where all samples
// share it; an empty array stands for nothing.
#include <algorithm>
#include <utility>

#include "functions.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace {

template <ffi::DataType type>
using In = ffi::Buffer<type>;
template <ffi::DataType type>
using Out = ffi::Result<ffi::Buffer<type>>;

template <typename Number, typename Buffer>
saltation::Operand<Number> operand(Buffer&& buffer, int64_t batch) {
  const auto dimensions = buffer.dimensions();
  if (buffer.element_count() == 0) return {};
  const int64_t samples = dimensions.front();
  return {buffer.typed_data(), samples == batch && batch > 1 ? int64_t(buffer.element_count()) / samples : 0};
}

template <ffi::DataType type, typename T = ffi::NativeType<type>>
saltation::Layer<T> layer_of(int64_t batch, int64_t neurons, In<type> time, ffi::Buffer<ffi::S32> source, In<type> weight,
                             In<type> delay, In<type> drive, In<type> theta, In<type> axonal, In<type> dendritic,
                             int32_t kind, double tau_mem, double tau_syn, double threshold, double t1) {
  saltation::Layer<T> layer;
  layer.batch = batch, layer.neurons = neurons;
  layer.arrivals = time.dimensions().back(), layer.sources = weight.dimensions()[1];
  layer.time = operand<const T>(time, batch), layer.source = operand<const int32_t>(source, batch);
  layer.weight = operand<const T>(weight, batch), layer.delay = operand<const T>(delay, batch);
  layer.drive = operand<const T>(drive, batch), layer.theta = operand<const T>(theta, batch);
  layer.axonal = operand<const T>(axonal, batch), layer.dendritic = operand<const T>(dendritic, batch);
  layer.kind = kind, layer.tau_mem = tau_mem, layer.tau_syn = tau_syn, layer.threshold = threshold, layer.t1 = t1;
  return layer;
}

template <ffi::DataType type>
ffi::Error search(In<type> time, ffi::Buffer<ffi::S32> source, In<type> weight, In<type> delay, In<type> drive,
                  In<type> theta, In<type> axonal, In<type> dendritic, Out<type> spike, Out<type> slope, int32_t kind,
                  double tau_mem, double tau_syn, double threshold, double t1) {
  using T = ffi::NativeType<type>;
  const auto shape = spike->dimensions();
  const auto layer = layer_of<type>(shape[0], shape[1], time, source, weight, delay, drive, theta, axonal, dendritic, kind,
                                    tau_mem, tau_syn, threshold, t1);
  saltation::functions<T>().search(layer, {spike->typed_data(), slope->typed_data()});
  return ffi::Error::Success();
}

template <ffi::DataType type>
ffi::Error slope_at(In<type> time, ffi::Buffer<ffi::S32> source, In<type> weight, In<type> delay, In<type> drive,
                    In<type> theta, In<type> axonal, In<type> dendritic, In<type> spike, Out<type> slope, int32_t kind,
                    double tau_mem, double tau_syn, double threshold, double t1) {
  using T = ffi::NativeType<type>;
  const auto shape = spike.dimensions();
  const auto layer = layer_of<type>(shape[0], shape[1], time, source, weight, delay, drive, theta, axonal, dendritic, kind,
                                    tau_mem, tau_syn, threshold, t1);
  saltation::functions<T>().slope(layer, {spike.typed_data(), slope->typed_data()});
  return ffi::Error::Success();
}

template <ffi::DataType type>
ffi::Error pull_back(In<type> time, ffi::Buffer<ffi::S32> source, In<type> weight, In<type> delay, In<type> drive,
                     In<type> theta, In<type> axonal, In<type> dendritic, In<type> spike, In<type> slope,
                     In<type> cotangent, Out<type> by_time, Out<type> by_weight, Out<type> by_delay, Out<type> by_drive,
                     Out<type> by_theta, Out<type> by_axonal, Out<type> by_dendritic, int32_t kind, double tau_mem,
                     double tau_syn, double threshold, double t1, double limit) {
  using T = ffi::NativeType<type>;
  const auto shape = spike.dimensions();
  const auto layer = layer_of<type>(shape[0], shape[1], time, source, weight, delay, drive, theta, axonal, dendritic, kind,
                                    tau_mem, tau_syn, threshold, t1);
  auto gradient = [&](Out<type>& out) {
    std::fill_n(out->typed_data(), out->element_count(), T(0));
    return operand<T>(*out, shape[0]);
  };
  const saltation::Gradients<T> gradients = {gradient(by_time),  gradient(by_weight), gradient(by_delay),
                                             gradient(by_drive), gradient(by_theta),  gradient(by_axonal),
                                             gradient(by_dendritic), limit};
  saltation::functions<T>().pull_back(layer, {spike.typed_data(), slope.typed_data()}, cotangent.typed_data(), gradients);
  return ffi::Error::Success();
}

template <ffi::DataType type>
auto operands() {
  return ffi::Ffi::Bind()
      .template Arg<In<type>>()                // time [batch, arrivals]
      .template Arg<ffi::Buffer<ffi::S32>>()   // source [batch, arrivals]
      .template Arg<In<type>>()                // weight [batch, sources, neurons]
      .template Arg<In<type>>()                // delay [batch, sources, neurons]
      .template Arg<In<type>>()                // drive [batch, neurons]
      .template Arg<In<type>>()                // theta [batch, neurons]
      .template Arg<In<type>>()                // axonal [batch, sources]
      .template Arg<In<type>>();               // dendritic [batch, neurons]
}

template <typename Binding>
auto constants(Binding binding) {
  return std::move(binding)
      .template Attr<int32_t>("kind")
      .template Attr<double>("tau_mem")
      .template Attr<double>("tau_syn")
      .template Attr<double>("threshold")
      .template Attr<double>("t1");
}

template <ffi::DataType type>
auto search_binding() {
  return constants(operands<type>().template Ret<In<type>>().template Ret<In<type>>());
}

template <ffi::DataType type>
auto slope_binding() {
  return constants(operands<type>().template Arg<In<type>>().template Ret<In<type>>());
}

template <ffi::DataType type>
auto pull_back_binding() {
  return constants(operands<type>()
                       .template Arg<In<type>>()
                       .template Arg<In<type>>()
                       .template Arg<In<type>>()
                       .template Ret<In<type>>()
                       .template Ret<In<type>>()
                       .template Ret<In<type>>()
                       .template Ret<In<type>>()
                       .template Ret<In<type>>()
                       .template Ret<In<type>>()
                       .template Ret<In<type>>())
      .template Attr<double>("limit");
}

}  // namespace

// The version of jaxlib whose headers this was compiled with: an older one does not take it.
extern "C" const char* saltation_jaxlib() { return SALTATION_JAXLIB; }

XLA_FFI_DEFINE_HANDLER_SYMBOL(saltation_search_f32, search<ffi::F32>, search_binding<ffi::F32>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(saltation_search_f64, search<ffi::F64>, search_binding<ffi::F64>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(saltation_slope_f32, slope_at<ffi::F32>, slope_binding<ffi::F32>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(saltation_slope_f64, slope_at<ffi::F64>, slope_binding<ffi::F64>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(saltation_pull_back_f32, pull_back<ffi::F32>, pull_back_binding<ffi::F32>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(saltation_pull_back_f64, pull_back<ffi::F64>, pull_back_binding<ffi::F64>());
