"""The settings of SoleSearch, read from `SOLESEARCH_*` environment variables; only this room reads them."""

import shlex
from pathlib import Path

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from catalogue.errors import BadInput


class Settings(BaseSettings):
    """Every setting has a default that works on one machine without any service beside it."""

    model_config = SettingsConfigDict(env_prefix="SOLESEARCH_", extra="ignore")

    data_dir: Path = Field(Path("data"), description="Folder of photos, snapshots, runs, releases and the SQLite file")
    database_url: str = Field("", description="SQLAlchemy URL; empty for SQLite in the data folder")
    allow_hosts: str = Field("", description="Comma-separated host:port list that the address guard lets through")
    contact: str = Field("", description="Address or page named in the crawler's User-Agent")
    crawl_delay_s: float = Field(1.0, ge=0, description="Seconds between requests to one host")
    crawls_at_once: int = Field(4, ge=1, description="Shops crawled side by side")
    max_store_gb: float = Field(0.0, ge=0, description="Photos on disk at which crawls are refused; 0 for no limit")
    tasks_dir: str = Field("", description="Folder of your own tasks' files; empty for `tasks` in the data folder")
    retrain: str = Field("", description="When the schedule retrains: a cron expression or an interval; empty: never")
    retrain_options: str = Field("--set start=shipped --set lr=0.003 --set colours=128",
                                 description="Options of a bare retrain")
    add_after: int = Field(20, ge=1, description="New photos that make the schedule add to the index")
    runtime: str = Field("auto", description="auto, openvino, cpu, cuda or cuda:N: what computes embeddings")
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$",
                        description="auto, cpu, cuda or cuda:N: where training runs")
    threads: int = Field(0, ge=0, description="Threads for numerical work; 0 for all cores")
    max_upload_mb: float = Field(20.0, gt=0, description="Largest photo accepted over HTTP, in megabytes")
    poll_s: float = Field(1.0, gt=0, description="Seconds between looks at which release is live")

    @field_validator("retrain_options")
    @classmethod
    def _words(cls, said: str) -> str:
        shlex.split(said)
        return said

    @property
    def database(self) -> str:
        """The database URL in force."""
        return self.database_url or f"sqlite:///{(self.data_dir / 'catalogue.db').absolute()}"

    @property
    def tasks(self) -> Path:
        """The folder of the user's own task files."""
        return Path(self.tasks_dir) if self.tasks_dir else self.data_dir / "tasks"

    @property
    def allowed(self) -> frozenset[str]:
        """The host:port pairs the address guard lets through."""
        return frozenset(word.strip() for word in self.allow_hosts.split(",") if word.strip())


def read_settings() -> Settings:
    """Read the environment; `BadInput` names the variable that cannot be used."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "SOLESEARCH_" + "_".join(str(part) for part in first["loc"]).upper()
        raise BadInput(f"the setting {name} cannot be used: {first['msg'].lower()}") from error
