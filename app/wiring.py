"""Opening what a command or a server works with: made here, at the door, and handed in to everyone else."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from app.settings import Settings
from catalogue.database import open_database
from catalogue.errors import BadInput, CatalogueUnavailable
from catalogue.photos import PhotoStore
from catalogue.releases import Published, Releases

if TYPE_CHECKING:
    from crawler.settings import CrawlSettings
    from vision.embedder import Embedder


@dataclass(frozen=True)
class Stores:
    """Everything durable, opened: the database at its newest schema and the folders of the data directory."""

    settings: Settings
    database: Engine
    photos: PhotoStore
    releases: Releases
    snapshots: Path
    runs: Path

    @property
    def readers(self) -> Engine:
        """The database for transactions that only read."""
        return self.database.execution_options(readonly=True)


def open_stores(settings: Settings) -> Stores:
    """Open the data folder and bring its database to the newest schema."""
    folder = settings.data_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"the data folder {folder} cannot be made ({error.strerror}); "
                       "set SOLESEARCH_DATA_DIR to a folder that can") from error
    database = open_database(settings.database)
    migrate(database)
    return Stores(settings, database, PhotoStore(folder / "photos"), Releases(database, folder / "releases"),
                  folder / "snapshots", folder / "runs")


def migrate(database: Engine) -> None:
    """Run the migrations that are missing; several processes may call it at once, one does the work."""
    import alembic.command
    import alembic.config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    import migrations
    config = alembic.config.Config()
    config.set_main_option("script_location", str(Path(str(migrations.__file__)).parent))
    heads = tuple(ScriptDirectory.from_config(config).get_heads())
    try:
        with database.execution_options(readonly=True).connect() as reader:
            if MigrationContext.configure(reader).get_current_heads() == heads:
                return  # nothing to do, and no lock to wait for
        with database.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(7653735)"))
            config.attributes["connection"] = connection
            alembic.command.upgrade(config, "head")
    except CommandError as error:
        raise CatalogueUnavailable(f"the database's schema is not one this version knows ({error}); "
                                   "it was last opened by a newer version of solesearch") from error
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise CatalogueUnavailable(f"the database {database.url.render_as_string()} cannot be opened ({reason}); "
                                   "check SOLESEARCH_DATABASE_URL") from error


def runtime_name(settings: Settings) -> str:
    """What computes embeddings: as set, or a GPU where torch sees one, else OpenVINO, else torch on the CPU."""
    if settings.runtime != "auto":
        if settings.runtime == "cuda":
            _check_gpu("SOLESEARCH_RUNTIME")
        return settings.runtime
    if importlib.util.find_spec("torch") is not None:
        import torch
        if torch.cuda.is_available():
            return "cuda"
    if importlib.util.find_spec("openvino") is not None:
        return "openvino"
    if importlib.util.find_spec("torch") is not None:
        return "cpu"
    raise BadInput("nothing is installed that can run a network; install solesearch[cpu] or solesearch[gpu]")


def training_device(settings: Settings) -> str:
    """Where training runs, with torch's thread count set."""
    try:
        import torch
    except ModuleNotFoundError as error:
        raise BadInput("training needs torch; install solesearch[train]") from error
    if settings.threads:
        torch.set_num_threads(settings.threads)
    if settings.device != "auto":
        if settings.device.startswith("cuda"):
            _check_gpu("SOLESEARCH_DEVICE")
        return settings.device
    return "cuda" if torch.cuda.is_available() else "cpu"


def _check_gpu(setting: str) -> None:
    if importlib.util.find_spec("torch") is not None:
        import torch
        if torch.cuda.is_available():
            return
    raise BadInput(f"{setting} asks for a GPU, but torch sees none here; set it to auto or cpu, or see to the driver")


def embedder_of(stores: Stores, network: Published, batch: int = 32) -> "Embedder":
    """The embedder of a network release, in the runtime the settings name."""
    from vision.embedder import open_embedder
    return open_embedder(network.folder, runtime_name(stores.settings), stores.settings.threads, batch)


def network_of(stores: Stores, index: Published) -> Published:
    """The network that made an index."""
    return stores.releases.open(str(index.manifest["network"]))


def crawl_settings(settings: Settings) -> "CrawlSettings":
    """What the crawler is told, from the environment's settings."""
    from crawler.settings import CrawlSettings
    return CrawlSettings(contact=settings.contact, delay_s=settings.crawl_delay_s, allow_hosts=settings.allowed,
                         max_store_bytes=int(settings.max_store_gb * 1e9))
