"""Placeholder."""


def calibrate():
    raise NotImplementedError
