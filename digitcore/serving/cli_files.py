"""`digitcore cards`, `download` and `export`: files for readers, for this program and for others."""

from pathlib import Path

import click
from tqdm import tqdm

from digitcore.data.datasets import download_mnist
from digitcore.models.classifier import load_classifier
from digitcore.models.export import FORMATS, export_network
from digitcore.reports.cards import write_cards
from digitcore.serving.cli_common import FILE, listed_entries, naming, set_progress
from digitcore.settings import load_settings

__all__ = ["cards_command", "download_command", "export_command"]


@click.command("cards", short_help="a card for each checkpoint")
def cards_command() -> int:
    """Writes README.md in the weights folder: what each checkpoint is for, how good, how limited, and how made."""
    directory = load_settings().weights_directory
    listed_entries()
    with naming(directory):
        print(write_cards(directory))
    return 0


@click.command("download", short_help="fetch MNIST")
def download_command() -> int:
    """Fetches the four MNIST files into the data folder and verifies them."""
    with tqdm(total=100, desc="MNIST", unit="%") as bar:
        for share in download_mnist():
            set_progress(bar, round(share * 100))
    return 0


@click.command("export", short_help="write a network for other programs")
@click.argument("name", help="A name under weights/, or a path.")
@click.option("--format", "file_format", type=click.Choice(FORMATS), required=True)
@click.option("--output", type=FILE, required=True, metavar="FILE")
def export_command(name: str, file_format: str, output: Path) -> int:
    """Writes the network, from a normalised batch (N, 1, 28, 28) to logits (N, 10), for programs without digitcore."""
    export_network(load_classifier(name).checkpoint, output, file_format=file_format)
    print(output)
    return 0
