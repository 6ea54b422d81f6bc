"""Working processes: what goes wrong in one is that task's failure alone."""

import os
import threading
import time
from pathlib import Path

import pytest

from catalogue.errors import BadPhoto, FetchFailed
from catalogue.photos import PhotoStore
from crawler import workers
from crawler.pace import Stopped
from crawler.workers import Workers
from tests.conftest import encoded, picture


def test_work_is_done_and_known_errors_come_through(tmp_path: Path) -> None:
    store = PhotoStore(tmp_path)
    with Workers(2) as pool:
        assert store.holds(pool.run("http://shoes.example/1.jpg", store.put, encoded(picture(1))))
        with pytest.raises(BadPhoto, match="no picture"):
            pool.run("http://shoes.example/2.jpg", store.put, b"no picture")
        with pytest.raises(FileNotFoundError):
            pool.run("http://shoes.example/", os.stat, tmp_path / "nothing")


def test_an_error_that_nobody_foresaw_is_told_with_the_address() -> None:
    with Workers(1) as pool, pytest.raises(FetchFailed, match=r"shoes.example/ could not be read \(ValueError.*report"):
        pool.run("http://shoes.example/", int, "seven")


def test_a_process_that_ends_costs_its_task_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with Workers(1) as pool:
        with pytest.raises(FetchFailed, match=r"shoes\.example/bomb"):
            pool.run("http://shoes.example/bomb", os._exit, 9)
        assert pool.run("http://shoes.example/", int, "7") == 7
        monkeypatch.setattr(workers, "PATIENCE_S", 0.2)
        with pytest.raises(FetchFailed, match="within 0 s"):
            pool.run("http://shoes.example/slow", time.sleep, 60)
        monkeypatch.undo()
        assert pool.run("http://shoes.example/", int, "8") == 8


def test_stopping_cuts_off_what_is_being_done() -> None:
    with Workers(1) as pool:
        threading.Timer(0.5, pool.stop).start()
        with pytest.raises(Stopped):
            pool.run("http://shoes.example/slow", time.sleep, 60)
        with pytest.raises(Stopped):
            pool.run("http://shoes.example/", int, "7")


def test_a_process_makes_room_for_a_fresh_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_LIFE", 2)
    with Workers(1) as pool:
        numbers = [pool.run("http://shoes.example/", os.getpid) for _ in range(4)]
    assert numbers[0] == numbers[1] != numbers[2] == numbers[3]
