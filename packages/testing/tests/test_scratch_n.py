import jax.numpy as jnp
from saltation_testing import NeuronConformance
from saltation_neurons import *
import saltation_neurons as sn
class TestAll(NeuronConformance):
    neurons = {
      "lif": sn.LIF(4), "lif2": sn.LIF(4, tau_mem=20.0,tau_syn=10.0, v_leak=0.1), "liftr": sn.LIF((2,2), tau_mem=jnp.full((2,2), 15.0)),
      "amo": sn.AtMostOnce(sn.LIF(4)), "refr": sn.Refractory(sn.LIF(4), 2.0), "refr_tr": sn.Refractory(sn.LIF(4), jnp.array(2.0)),
      "qif": sn.QIF(4), "eif": sn.EIF(4), "adex": sn.AdEx(4), "izh": sn.Izhikevich(4), "if": sn.IF(4),
    }
