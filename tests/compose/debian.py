"""The base of all stand-ins: Debian 13 (trixie), made by debootstrap from the mirror that this machine's apt uses.

So no address is written down here. The image is like `debian:trixie-slim`: no documentation, no translations.
"""

import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from native.setup import digest
from pinline.errors import PinlineError
from tests.compose import cache

IMAGE = "pinline/standin-debian:trixie"
LABEL = "pinline.standin"

_SUITE = "trixie"
_PACKAGES = "ca-certificates"
_SLIM = """\
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/man/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
force-unsafe-io
"""
_APT = """\
APT::Install-Recommends "false";
Acquire::Languages "none";
"""
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def ensure(environment: Mapping[str, str], tell: Callable[[str], None]) -> str:
    """Make the image if it isn't there as it is described here. Return the digest of the description."""
    wanted = digest(_SUITE, _PACKAGES, _SLIM, _APT)
    if label(IMAGE, environment) == wanted:
        return wanted
    if not cache.find_program("debootstrap") or not _KEYRING.exists():
        tell("installing debootstrap")
        cache.install(["debootstrap", "debian-archive-keyring"], "a Debian base image")
    tell("debootstrap")
    root = cache.folder() / "debian"
    shutil.rmtree(root, ignore_errors=True)
    try:
        _bootstrap(root)
        tell("import")
        _import(root, wanted, environment)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return wanted


def label(image: str, environment: Mapping[str, str]) -> str | None:
    """Return which description an image was made from: None if there is no such image, empty if it is no stand-in."""
    command = ["docker", "image", "inspect", "--format", f'{{{{ index .Config.Labels "{LABEL}" }}}}', image]
    asked = subprocess.run(command, env={**environment}, capture_output=True, text=True, check=False)
    return asked.stdout.strip().replace("<no value>", "") if asked.returncode == 0 else None


def _bootstrap(root: Path) -> None:
    for file, text in (("etc/dpkg/dpkg.cfg.d/slim", _SLIM), ("etc/apt/apt.conf.d/slim", _APT)):
        (root / file).parent.mkdir(parents=True)
        (root / file).write_text(text)
    program = cache.find_program("debootstrap")
    options = ["--variant=minbase", f"--include={_PACKAGES}", f"--keyring={_KEYRING}"]
    cache.run([program, *options, _SUITE, root, _mirror()], "debootstrap of Debian 13")
    for folder in ("doc", "man", "info", "locale"):  # of the packages that debootstrap unpacks without dpkg
        shutil.rmtree(root / "usr/share" / folder, ignore_errors=True)
    for archive in (root / "var/cache/apt/archives").glob("*.deb"):
        archive.unlink()
    shutil.rmtree(root / "var/lib/apt/lists")


def _mirror() -> str:
    """Return the mirror of Debian's main archive that apt uses here."""
    wanted = ["Created-By: Packages", "Origin: Debian", "Label: Debian", "Component: main"]
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", *wanted]
    found = cache.run(command, "asking apt for its mirror").split()
    if not found:
        cache.install([], "a Debian base image")  # reads the package lists, from which apt knows whose they are
        found = cache.run(command, "asking apt for its mirror").split()
    if not found:
        raise PinlineError(
            "apt knows no mirror of Debian here, and the stand-ins are made from one: pull images instead (STANDINS=0)"
        )
    return found[0]


def _import(root: Path, wanted: str, environment: Mapping[str, str]) -> None:
    packed = subprocess.Popen(["tar", "-C", root, "--numeric-owner", "-c", "."], stdout=subprocess.PIPE)
    command = ["docker", "import", "--change", f"LABEL {LABEL}={wanted}", "--change", 'CMD ["bash"]', "-", IMAGE]
    try:
        done = subprocess.run(command, stdin=packed.stdout, env={**environment}, capture_output=True, check=False)
    finally:
        packed.wait()
    if done.returncode or packed.returncode:
        raise PinlineError(f"importing the Debian base image failed:\n{done.stderr.decode(errors='replace')}")
