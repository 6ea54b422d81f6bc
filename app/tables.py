"""What a command that compares prints: a table for people, or one JSON object; the table in a file, too."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from catalogue.files import write_file


def show_table(table: str, record: Mapping[str, Any], out: Path | None, as_json: bool) -> None:
    """Print the Markdown table, or the record as JSON; write the table to `out` where there is one."""
    if out is not None:
        write_file(out, f"{table}\n".encode())
    click.echo(json.dumps(record) if as_json else table)
