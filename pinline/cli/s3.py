"""`pinline s3`: what the bucket holds."""

import sys
from typing import Annotated

import typer

from pinline import aws, object_store
from pinline.cli.console import out
from pinline.errors import StateError
from pinline.settings import load

app = typer.Typer(help="What the bucket holds.", no_args_is_help=True)


@app.command()
def ls(
    prefix: Annotated[str, typer.Argument(help="Keys that begin with this.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="Objects to print; the rest is counted.")] = 1000,
) -> None:
    """List objects: size in bytes and key."""
    settings = load()
    count = size = 0
    for key, object_size in object_store.list_keys(aws.s3_client(settings), settings, prefix):
        count, size = count + 1, size + object_size
        if count <= limit:
            print(f"{object_size:>12,}  {key}")
    out.print(f"{count:,} objects, {size:,} bytes in s3://{settings.bucket}/{prefix}", style="dim")


@app.command()
def cat(key: str) -> None:
    """Print an object (a .gz unpacked)."""
    settings = load()
    s3 = aws.s3_client(settings)
    if not any(found == key for found, _ in object_store.list_keys(s3, settings, key)):
        raise StateError(
            f"s3://{settings.bucket}/{key} is not there. Look with: pinline s3 ls {key.rpartition('/')[0]}"
        )
    for line in object_store.lines(s3, settings, key):
        sys.stdout.buffer.write(line + b"\n")
