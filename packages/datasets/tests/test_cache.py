"""The cache folder is the platform's."""

import sys
from pathlib import Path

import pytest

import saltation_datasets as sd


def test_xdg_cache_home_decides(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert sd.cache_dir() == tmp_path / "saltation"


@pytest.mark.parametrize("value", ["", "relative/folder"])
@pytest.mark.parametrize(
    "platform, expected",
    [
        ("linux", ".cache/saltation"),
        ("darwin", "Library/Caches/saltation"),
        ("win32", "Local/saltation/Cache"),
    ],
)
def test_platform_decides_otherwise(monkeypatch, tmp_path, value, platform, expected):
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "Local"))
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(sys, "platform", platform)
    assert sd.cache_dir() == tmp_path / expected
