"""`pooch` fetches over HTTP, and its absence or a failure is explained."""

import functools
import http.server
import sys
import threading

import pytest

import saltation as st
import saltation_datasets as sd


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        pass


@pytest.fixture
def local_url(tmp_path):
    """The address of a web server on this machine that serves `tmp_path/served`."""
    (tmp_path / "served").mkdir()
    handler = functools.partial(_Quiet, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_fetches_a_file(tmp_path, local_url):
    pytest.importorskip("pooch")
    (tmp_path / "served" / "file.gz").write_bytes(b"content")
    sd.fetch_with_pooch(f"{local_url}file.gz", tmp_path / "file.gz")
    assert (tmp_path / "file.gz").read_bytes() == b"content"


def test_failure_names_the_address_and_the_way_out(tmp_path, local_url):
    pytest.importorskip("pooch")
    with pytest.raises(st.DataError, match=r"got HTTPError \(404.*file.gz, expected the file. Fix: check the conn"):
        sd.fetch_with_pooch(f"{local_url}file.gz", tmp_path / "file.gz")


def test_missing_pooch_answers_with_the_install_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(st.DataError, match=r"pip install 'saltation-datasets\[download\]'"):
        sd.fetch_with_pooch("http://127.0.0.1/file.gz", tmp_path / "file.gz")


def test_missing_pooch_reaches_the_user_of_a_loader(alone, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(st.DataError, match=r"mnist: download: got no package 'pooch'"):
        sd.load_mnist(download=True)
