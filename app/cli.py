"""The command line: the table of commands, and how errors leave it (0 done, 1 a sentence, 2 usage; see app/exits.py).
"""

import importlib
import logging
import sys

import click

from app.exits import BUSY, known_failure
from app.logs import log_from
from catalogue.errors import Busy, SoleSearchError

# Command → (module, one line of help). The module is imported when its command runs: `--help` imports none.
COMMANDS = {
    "shop": ("app.commands.shops", "Add, list, show, change, pause, resume and remove shops."),
    "crawl": ("app.commands.crawling", "Bring the catalogue up to date from its shops."),
    "schedule": ("app.commands.scheduling", "Crawl, add to the index and retrain when it is due."),
    "catalogue": ("app.commands.catalogue", "Import, export, merge, split, sweep and verify products and photos."),
    "snapshot": ("app.commands.training", "Export what a training may use, with its splits."),
    "train": ("app.commands.training", "Train a network from a snapshot."),
    "tune": ("app.commands.tuning", "Search for the settings that train best."),
    "task": ("app.commands.tasks", "Train, measure and publish other classifiers, one file each."),
    "index": ("app.commands.indexing", "Build, add to and evaluate the search index."),
    "promote": ("app.commands.releases", "Make a release live, if it measures no worse than what is."),
    "rollback": ("app.commands.releases", "Make the former release live again."),
    "demote": ("app.commands.releases", "Take a task's release down; nothing takes its place."),
    "releases": ("app.commands.releases", "List releases and slots; prune old ones."),
    "retrain": ("app.commands.retraining", "Snapshot, train, build, gate and promote in one go."),
    "identify": ("app.commands.photos", "Name the shoe in a photo, as the service would."),
    "classify": ("app.commands.photos", "Say what is in photos, with a live task."),
    "stock": ("app.commands.photos", "Say which slots of a shelf are empty or hold another product."),
    "embed": ("app.commands.photos", "Write the embeddings of photos to a file."),
    "serve": ("app.commands.serving", "Serve the web page and the HTTP API."),
}


class LazyGroup(click.Group):
    """A group that imports a command's module only when that command is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of a shop's journey."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name][0])
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="solesearch")
@click.option("-v", "--verbose", is_flag=True, help="Say more of what happens, on standard error.")
def commands(verbose: bool) -> None:
    """SoleSearch names the shoe in a photo.

    Settings are environment variables (SOLESEARCH_DATA_DIR, SOLESEARCH_DATABASE_URL, …); the README lists them.
    """
    log_from(logging.INFO if verbose else logging.WARNING)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit."""
    try:
        sys.exit(commands.main(arguments, prog_name="solesearch", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped. The same command goes on from here.", err=True)
        sys.exit(130)
    except SoleSearchError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(BUSY if isinstance(error, Busy) else 1)
    except Exception as error:
        sentence = known_failure(error)
        if sentence is None:
            raise
        click.echo(f"Error: {sentence}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
