"""The servers that the other tests take for S3 behave as S3 does where atomic writes and locks depend on it."""

import threading

import pytest
from upath import UPath

from tests.s3_server import serving


@pytest.fixture(params=["localbucket", "moto"])
def folder_of_each(request, tmp_path):
    return tmp_path if request.param == "localbucket" else None


def test_an_object_is_made_once(folder_of_each):
    made = []

    def make(who: bytes) -> None:
        try:
            here.fs.pipe_file(here.path, who, mode="create")
            made.append(who)
        except OSError:
            pass

    with serving(folder_of_each) as server:
        here = UPath(f"s3://{server.bucket}/made-once")
        threads = [threading.Thread(target=make, args=(bytes([k]),)) for k in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(made) == 1
        assert here.read_bytes() == made[0]


def test_objects_outlive_a_kill(s3_server):
    here = UPath(f"s3://{s3_server.bucket}/folder/kept")
    here.write_bytes(b"kept")
    s3_server.restart()
    assert here.read_bytes() == b"kept"
