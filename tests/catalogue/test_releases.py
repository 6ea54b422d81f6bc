"""Releases are written once and whole; slots move by one row; what is live is never pruned."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.wiring import Stores
from catalogue.errors import BadInput, BadRelease, Busy, NotFound, NothingLive
from catalogue.files import lock
from catalogue.integrity import faults


def publish(stores: Stores, text: str, kind: str = "index") -> str:
    with stores.releases.draft(kind) as draft:
        (draft.folder / "file").write_text(text)
        draft.manifest["about"] = text
    return draft.name


def test_publishing_the_same_twice_is_one_release(stores: Stores) -> None:
    assert publish(stores, "a") == publish(stores, "a") != publish(stores, "b")
    assert len(stores.releases.all("index")) == 2
    assert stores.releases.newest("index").manifest["about"] == "b"


def test_a_failed_draft_leaves_nothing(stores: Stores) -> None:
    with pytest.raises(RuntimeError), stores.releases.draft("index") as draft:
        (draft.folder / "file").write_text("half")
        raise RuntimeError
    assert not stores.releases.all()
    assert not list((stores.releases.folder / "index").iterdir())


def test_promote_and_roll_back(stores: Stores) -> None:
    with pytest.raises(NothingLive):
        stores.releases.live("index")
    one, two = publish(stores, "1"), publish(stores, "2")
    stores.releases.promote("index", one)
    with pytest.raises(NothingLive):
        stores.releases.roll_back("index")
    stores.releases.promote("index", two)
    stores.releases.promote("index", two)
    assert stores.releases.roll_back("index") == one == stores.releases.live("index").name
    assert stores.releases.roll_back("index") == two
    with pytest.raises(BadInput):
        stores.releases.promote("detector", one)
    with pytest.raises(NotFound):
        stores.releases.promote("index", "index-none")


def test_prune_keeps_live_former_newest_and_their_networks(stores: Stores) -> None:
    network = publish(stores, "net", "network")
    with stores.releases.draft("index") as draft:
        (draft.folder / "file").write_text("with a network")
        draft.manifest["network"] = network
    names = [draft.name] + [publish(stores, str(number)) for number in range(5)]
    for number in range(4):
        publish(stores, f"net {number}", "network")
    stores.releases.promote("index", names[0])
    gone = stores.releases.prune()
    kept = {release.name for release in stores.releases.all()}
    assert {names[0], names[-1], names[-2], network} <= kept and len(gone) == 3 + 2
    assert not kept & set(gone) and all(not (stores.releases.folder / name).exists() for name in gone)


def publish_task(stores: Stores, task: str, text: str) -> str:
    with stores.releases.draft("task") as draft:
        (draft.folder / "file").write_text(text)
        draft.manifest["task"] = task
    return draft.name


def test_each_task_has_a_slot_and_keeps_two_of_its_own(stores: Stores) -> None:
    rare = publish_task(stores, "rare", "1")
    often = [publish_task(stores, "often", str(number)) for number in range(5)]
    assert stores.releases.newest("task:rare").name == rare and stores.releases.newest("task").name == often[-1]
    with pytest.raises(NotFound, match="task train never"):
        stores.releases.newest("task:never")
    with pytest.raises(BadInput, match="task:often"):
        stores.releases.promote("task:rare", often[0])
    stores.releases.promote("task:often", often[0])
    stores.releases.promote("index", publish(stores, "index"))
    assert stores.releases.live_names("task") == {"task:often": often[0]}
    assert set(stores.releases.prune()) == {often[1], often[2]}
    assert {release.name for release in stores.releases.all("task")} == {rare, often[0], often[3], often[4]}


def test_a_cut_short_deletion_never_becomes_a_release(stores: Stores) -> None:
    first = publish(stores, "whole")
    (stores.releases.folder / first / "file").unlink()  # as if the deletion of its folder had been killed
    assert publish(stores, "whole") == first
    stores.releases.check(stores.releases.open(first))


def test_a_lost_folder_is_left_out_and_reported(stores: Stores) -> None:
    lost, kept = publish(stores, "lost"), publish(stores, "kept")
    shutil.rmtree(stores.releases.folder / lost)
    assert [release.name for release in stores.releases.all()] == [kept]
    assert [fault.kind for fault in faults(stores.database, stores.photos, stores.releases)] == ["release"]


def test_promotion_is_bound_to_what_was_measured(stores: Stores) -> None:
    one, two, three = (publish(stores, text) for text in "123")
    stores.releases.promote("index", one)
    stores.releases.promote("index", two, instead_of=one)
    with pytest.raises(Busy, match="another release went live"):
        stores.releases.promote("index", three, instead_of=one)
    assert stores.releases.live("index").name == two


def test_an_index_of_a_deleted_network_is_not_published(stores: Stores) -> None:
    with pytest.raises(BadRelease, match="was deleted"), stores.releases.draft("index") as draft:
        (draft.folder / "file").write_text("x")
        draft.manifest["network"] = "network-gone"
    assert not stores.releases.all()


def test_check_names_an_altered_file(stores: Stores) -> None:
    release = stores.releases.open(publish(stores, "whole"))
    stores.releases.check(release)
    (release.folder / "file").write_text("other")
    with pytest.raises(BadRelease, match="file of index-"):
        stores.releases.check(release)


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    program = ("import sys, time; from pathlib import Path; from catalogue.files import lock\n"
               "with lock(Path(sys.argv[1]), 'x'): print('held', flush=True); time.sleep(60)")
    holder = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "lock")], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    with pytest.raises(Busy, match="already busy with the job"), lock(tmp_path / "lock", "the job"):
        pass
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with lock(tmp_path / "lock", "the job"):
        assert True


def test_a_killed_build_leaves_what_is_live_and_is_swept(stores: Stores) -> None:
    live = publish(stores, "live")
    stores.releases.promote("index", live)
    program = ("import sys, time; from pathlib import Path; from app.settings import Settings\n"
               "from app.wiring import open_stores\n"
               "stores = open_stores(Settings(data_dir=Path(sys.argv[1])))\n"
               "with stores.releases.draft('index') as draft:\n"
               "    (draft.folder / 'file').write_text('half'); print('writing', flush=True); time.sleep(60)")
    writer = subprocess.Popen([sys.executable, "-c", program, str(stores.settings.data_dir)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    writer.stdout.readline()
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    assert stores.releases.live("index").name == live and len(stores.releases.all()) == 1
    assert list((stores.releases.folder / "index").iterdir())
    publish(stores, "whole")
    assert not list((stores.releases.folder / "index").iterdir())
