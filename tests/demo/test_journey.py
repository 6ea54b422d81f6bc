"""`make demo`'s journey: ports are checked before any work, and what is done is not done again."""

import socket
import sys
from pathlib import Path

import pytest

from catalogue.errors import BadInput
from demo import journey


def test_a_taken_port_is_told_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                              capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SOLESEARCH_DATA_DIR", str(tmp_path))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("PORT", str(taken.getsockname()[1]))
        assert journey.main() == 1
    said = capsys.readouterr()
    assert "is taken by another program" in said.err and "PORT=" in said.err and "=====" not in said.out
    monkeypatch.setenv("PORT", "many")
    assert journey.main() == 1 and "no port" in capsys.readouterr().err


def test_a_taken_default_moves_on() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert journey._first_free(port) > port


def test_a_step_is_done_once(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                             monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tool").write_text(f"#!{sys.executable}\nimport sys\nopen({str(tmp_path / 'ran')!r}, 'a').write('x')\n"
                                   "sys.exit(int(sys.argv[1]))\n")
    (tmp_path / "tool").chmod(0o755)
    monkeypatch.setattr(journey, "solesearch", lambda: str(tmp_path / "tool"))
    journey.step(journey.Journal(tmp_path), "a step", "0")
    journey.step(journey.Journal(tmp_path), "a step", "0")
    assert (tmp_path / "ran").read_text() == "x" and "done before" in capsys.readouterr().out
    with pytest.raises(journey.Failed, match="failed"):
        journey.step(journey.Journal(tmp_path), "another", "1")
    with pytest.raises(KeyboardInterrupt):
        journey.step(journey.Journal(tmp_path), "another", "130")
    assert journey.Journal(tmp_path).done == ["a step"]


def test_the_shop_keeps_the_port_it_was_crawled_on(tmp_path: Path) -> None:
    journal = journey.Journal(tmp_path)
    assert journal.shop_port() is None
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        journal.record(f"shop {taken.getsockname()[1]}")
        assert journey.Journal(tmp_path).shop_port() == taken.getsockname()[1]
        with pytest.raises(BadInput, match="on which the demo shop was crawled"), journey.shop(journal):
            pass
