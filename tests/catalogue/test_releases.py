"""Releases are written once and whole; slots move by one row; what is live is never pruned."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.wiring import Stores
from catalogue.errors import BadInput, BadRelease, Busy, NotFound, NothingLive
from catalogue.files import lock
from catalogue.integrity import faults
from catalogue.pruning import _forget, prune
from catalogue.releases import MANIFEST
from catalogue.tables import Live, Release


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
    names = [publish_made_with(stores, network)] + [publish(stores, str(number)) for number in range(5)]
    for number in range(4):
        publish(stores, f"net {number}", "network")
    stores.releases.promote("index", names[0])
    gone = prune(stores.releases)
    kept = {release.name for release in stores.releases.all()}
    assert {names[0], names[-1], names[-2], network} <= kept and len(gone) == 3 + 2
    assert not kept & set(gone) and all(not (stores.releases.folder / name).exists() for name in gone)


def publish_made_with(stores: Stores, network: str) -> str:
    with stores.releases.draft("index") as draft:
        (draft.folder / "file").write_text("with a network")
        draft.manifest["network"] = network
    return draft.name


def test_what_is_live_keeps_its_network_although_its_own_folder_is_damaged(stores: Stores) -> None:
    network = publish(stores, "net", "network")
    live = publish_made_with(stores, network)
    stores.releases.promote("index", live)
    for number in range(3):
        publish(stores, f"net {number}", "network")
        publish(stores, str(number))
    (stores.releases.folder / live / MANIFEST).write_text("{")
    assert network not in prune(stores.releases)
    assert (stores.releases.folder / network).is_dir() and (stores.releases.folder / live).is_dir()


def test_what_is_promoted_while_others_are_pruned_stays_with_its_network(stores: Stores,
                                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    looked = threading.Event()

    def forget(readable: Collection[str], keep: int, session: Session) -> set[str]:
        looked.set()
        return _forget(readable, keep, session)

    monkeypatch.setattr("catalogue.pruning._forget", forget)
    network = publish(stores, "net", "network")
    index = publish_made_with(stores, network)
    for number in range(2):
        publish(stores, f"net {number}", "network")
        publish(stores, str(number))
    with ThreadPoolExecutor(1) as threads:
        with Session(stores.database) as session, session.begin():
            row = session.scalars(select(Release).where(Release.name == index)).one()
            session.add(Live(slot="index", release_id=row.id))
            session.flush()
            pruning = threads.submit(prune, stores.releases)
            assert looked.wait(60)  # what it asks the database from now on waits for this transaction
        assert pruning.result() == []
    assert (stores.releases.folder / network).is_dir()


def test_prune_removes_folders_that_a_killed_one_left(stores: Stores) -> None:
    left, kept = publish(stores, "left"), publish(stores, "kept")
    with Session(stores.database) as session, session.begin():
        session.execute(delete(Release).where(Release.name == left))  # as if killed before the folder's turn came
    (stores.releases.folder / "index-notes").mkdir()
    assert prune(stores.releases) == [left] and prune(stores.releases) == []
    assert {path.name for path in stores.releases.folder.iterdir() if path.name.startswith("index-")} == {
        kept, "index-notes"}


def test_releases_of_another_database_are_not_pruned(stores: Stores) -> None:
    name = publish(stores, "of another")
    with Session(stores.database) as session, session.begin():
        session.execute(delete(Release))
    with pytest.raises(BadInput, match="knows none of the 1 releases"):
        prune(stores.releases)
    assert (stores.releases.folder / name).is_dir()


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
    assert set(prune(stores.releases)) == {often[1], often[2]}
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
    for measured_against in (one, None):
        with pytest.raises(Busy, match=f"another release went live in index.*against {two}"):
            stores.releases.promote("index", three, instead_of=measured_against)
    assert stores.releases.live("index").name == two


def test_of_two_first_promotions_the_second_is_measured_against_the_first(stores: Stores) -> None:
    one, two = publish_task(stores, "hue", "1"), publish_task(stores, "hue", "2")
    stores.releases.promote("task:hue", one, instead_of=None)
    with pytest.raises(Busy, match="measured against none"):
        stores.releases.promote("task:hue", two, instead_of=None)
    stores.releases.demote("task:hue")
    with pytest.raises(Busy, match=f"{one} was taken down from task:hue"):
        stores.releases.promote("task:hue", two, instead_of=one)
    stores.releases.promote("task:hue", two, instead_of=None)
    assert stores.releases.live("task:hue").name == two


def test_of_first_promotions_at_once_one_goes_through(stores: Stores) -> None:
    names = [publish(stores, str(number)) for number in range(4)]

    def promoted(name: str) -> bool:
        try:
            stores.releases.promote("index", name, instead_of=None)
        except Busy:
            return False
        return True

    with ThreadPoolExecutor(len(names)) as threads:
        done = list(threads.map(promoted, names))
    assert done.count(True) == 1 and stores.releases.slots() == {"index": (names[done.index(True)], None)}


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


@pytest.mark.parametrize("says", ["{", "[]", "{}", '{"kind": "index", "files": {}}', None])
def test_a_damaged_manifest_is_told_and_written_again(stores: Stores, says: str | None) -> None:
    name = publish(stores, "whole")
    release = stores.releases.open(name)
    manifest = release.folder / MANIFEST
    whole = manifest.read_text()
    manifest.write_text(whole + " " if says is None else says)
    with pytest.raises(BadRelease, match="manifest"):
        stores.releases.check(stores.releases.open(name))
    with pytest.raises(BadRelease, match=f"{MANIFEST} of {name} is missing or altered"):
        stores.releases.check(release)
    assert publish(stores, "whole") == name and manifest.read_text() == whole
    stores.releases.check(stores.releases.open(name))


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
