"""Events of sensors become spikes and come back."""

import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st

TYPE = [("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", bool)]
EVENTS = np.array([(3, 1, 2500, 1), (0, 2, 1000, 0), (4, 0, 7000, 1)], dtype=TYPE)
SHAPE = (3, 5, 2)


def test_events_are_spikes_of_an_image_in_order_of_time():
    spikes = st.spikes_from_events(EVENTS, SHAPE, time_unit=1e-3)
    np.testing.assert_allclose(spikes.time, [1.0, 2.5, 7.0])
    image = np.zeros(30)
    image[int(spikes.index[1])] = 1
    assert image.reshape(SHAPE)[1, 3, 1] == 1 and spikes.size == 30


def test_events_come_back():
    again = st.spikes_to_events(st.spikes_from_events(EVENTS, SHAPE, time_unit=1e-3), SHAPE, time_unit=1e-3)
    assert again.tolist() == sorted(EVENTS.tolist(), key=lambda event: event[2])


def test_padding_is_no_event():
    spikes = st.Spikes.from_dense(jnp.array([[1.0, jnp.inf], [jnp.inf, jnp.inf]]))
    assert len(st.spikes_to_events(spikes, (1, 2, 1), time_unit=1e-3)) == 1


def test_a_cochlea_has_one_row():
    events = np.array([(2, 10, 0)], dtype=[("x", int), ("t", int), ("p", int)])
    assert int(st.spikes_from_events(events, (1, 4, 1), time_unit=1e-6).index[0]) == 2


def test_wrong_events_are_refused():
    with pytest.raises(ValueError, match="got x = 4 in event 2; expected 0 .. 3"):
        st.spikes_from_events(EVENTS, (3, 4, 2), time_unit=1e-3)
    with pytest.raises(ValueError, match="expected x and t"):
        st.spikes_from_events(np.zeros(3), SHAPE, time_unit=1e-3)
    with pytest.raises(ValueError, match="time_unit=0.0"):
        st.spikes_from_events(EVENTS, SHAPE, time_unit=0.0)
    with pytest.raises(ValueError, match="expected .height, width, polarities."):
        st.spikes_from_events(EVENTS, (3, 5), time_unit=1e-3)
    with pytest.raises(ValueError, match="expected one sample"):
        st.spikes_to_events(st.Spikes.empty(4), SHAPE, time_unit=1e-3)
