"""Spikes go through NIR's data and come back."""

import jax
import jax.numpy as jnp
import nir
import numpy as np
import pytest

import saltation as st
from saltation_nir import from_nir_data, to_nir_data

TIMES = np.array([[[1.0, 2.5], [0.5, np.inf]], [[np.inf, np.inf], [3.0, 4.0]]])


def test_a_batch_of_spikes_comes_back_from_a_file(tmp_path):
    spikes = jax.vmap(st.Spikes.from_dense)(jnp.asarray(TIMES))
    nir.write_data(tmp_path / "spikes.nir", to_nir_data({"out": spikes}, t1=5.0, time_unit=1e-3))
    data = nir.read_data(tmp_path / "spikes.nir")
    assert data.nodes["out"].observables["spikes"].t_max == pytest.approx(5e-3)
    again = from_nir_data(data, time_unit=1e-3)["out"]
    np.testing.assert_allclose(again.time, spikes.time)
    np.testing.assert_array_equal(again.index, spikes.index)
    assert again.size == 2


def test_events_on_a_grid_are_spikes_at_the_start_of_a_step():
    grid = np.zeros((1, 10, 2), bool)
    grid[0, [2, 7], [1, 0]] = True
    data = nir.NIRGraphData({"out": nir.NIRNodeData({"spikes": nir.TimeGriddedData(grid, dt=1e-3)})})
    again = from_nir_data(data, time_unit=1e-3)["out"]
    np.testing.assert_allclose(again.time, [[2.0, 7.0]])
    np.testing.assert_array_equal(again.index, [[1, 0]])


def test_units_must_be_positive():
    with pytest.raises(ValueError, match="expected a positive number"):
        to_nir_data({"out": st.Spikes.empty(2)}, t1=1.0, time_unit=0.0)
    with pytest.raises(ValueError, match="expected a positive number"):
        from_nir_data(nir.NIRGraphData({}), time_unit=-1.0)
