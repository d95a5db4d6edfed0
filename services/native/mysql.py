"""MariaDB (from the jar of ivy.xml), or a mariadbd or mysqld on PATH, which stands in for RDS at RDS_HOST:RDS_PORT.

Users and passwords come from settings at every start, so a changed `.env` takes effect with the next one.
RDS_USER may only SELECT; RDS_ADMIN_USER may do everything in RDS_DATABASE, and nothing outside it.
"""

import os
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from native import layout
from native.launch import Launch, render
from pinline.errors import PinlineError
from pinline.settings import Settings, secret

_MARIADB = """\
# without TLS it starts in 0.3 s instead of 4: it makes no RSA key
skip-ssl
lc-messages-dir={base}/share"""
_MYSQL = """\
tls-version=
mysqlx=OFF"""


@dataclass(frozen=True)
class Server:
    """A database server that was found."""

    program: Path
    base: Path
    """The folder with its `share`."""

    @property
    def is_mariadb(self) -> bool:
        """MariaDB and MySQL differ in how a data folder is made and in a few options."""
        return self.program.name == "mariadbd"


def find_server(settings: Settings) -> Server:
    """Return the downloaded MariaDB, else what is on PATH. Raises PinlineError if there is neither."""
    downloaded = settings.pinline_local / "mariadb"
    if (downloaded / "bin" / "mariadbd").exists():
        return Server(downloaded / "bin" / "mariadbd", downloaded)
    search = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin", "/usr/libexec"])
    for name in ("mariadbd", "mysqld"):
        if found := shutil.which(name, path=search):
            program = Path(found).resolve()
            return Server(program.with_name(name) if program.name != name else program, program.parent.parent)
    raise PinlineError(f"no MariaDB in {downloaded}, and no mariadbd or mysqld on PATH. Try: make setup")


def launch(settings: Settings) -> Launch:
    """Return how the server is started."""
    server = find_server(settings)
    folder = layout.service_dir(settings, "mysql")
    run = layout.run_dir(settings)
    values = {
        "data_dir": folder / "data",
        "socket": run / "mysql.sock",
        "pid_file": run / "mysql.pid",
        "init_file": folder / "users.sql",
        "port": settings.rds_port,
        "host": settings.rds_host,
        "variant": (_MARIADB if server.is_mariadb else _MYSQL).format(base=server.base),
    }
    return Launch(
        command=(
            str(server.program),
            f"--defaults-file={folder / 'my.cnf'}",
            f"--basedir={server.base}",
            *_as_root(),
        ),
        files={
            folder / "my.cnf": render(layout.template("mysql", "my.cnf"), values),
            folder / "users.sql": users_sql(settings),
        },
        folders=(folder, run),
    )


def users_sql(settings: Settings) -> str:
    """Return the statements, one a line, that make the database and its two users, and take root off the network."""
    database = f"`{settings.rds_database}`"
    granted = database.replace("_", r"\_")  # in GRANT an underscore is a wildcard
    lines = [f"CREATE DATABASE IF NOT EXISTS {database} CHARACTER SET utf8mb4;"]
    reader = (settings.rds_user, secret(settings.rds_password, "RDS_PASSWORD"), "SELECT")
    users = [reader]
    if settings.rds_admin_user:
        password = secret(settings.rds_admin_password, "RDS_ADMIN_PASSWORD")
        users.append((settings.rds_admin_user, password, "ALL PRIVILEGES"))
    for user, password, rights in users:
        account = f"{_quoted(user)}@'%'"
        lines += [
            f"CREATE USER IF NOT EXISTS {account} IDENTIFIED BY {_quoted(password)};",
            f"ALTER USER {account} IDENTIFIED BY {_quoted(password)};",
            f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM {account};",
            f"GRANT {rights} ON {granted}.* TO {account};",
        ]
    hosts = ("127.0.0.1", "::1", socket.gethostname().lower())
    lines += [f"DROP USER IF EXISTS 'root'@{_quoted(host)};" for host in hosts]
    return "\n".join(lines) + "\n"


def prepare(settings: Settings) -> None:
    """Make the data folder, once. One that was cut short is made anew."""
    server = find_server(settings)
    folder = layout.service_dir(settings, "mysql")
    if (folder / "data").exists():
        return
    layout.make_private(folder)
    part = folder / "data.part"
    shutil.rmtree(part, ignore_errors=True)
    command = _install_command(server, part)
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        raise PinlineError(f"making the database folder {part} failed:\n{run.stdout}{run.stderr}")
    part.rename(folder / "data")


def _install_command(server: Server, data: Path) -> list[str]:
    if not server.is_mariadb:
        return [str(server.program), "--no-defaults", "--initialize-insecure", f"--datadir={data}", *_as_root()]
    script = server.base / "scripts" / "mariadb-install-db"
    return [
        str(script) if script.exists() else "mariadb-install-db",
        "--no-defaults",
        f"--basedir={server.base}",
        f"--datadir={data}",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        *_as_root(),
    ]


def _as_root() -> list[str]:
    """MariaDB and MySQL refuse to run as root unless told."""
    return ["--user=root"] if os.geteuid() == 0 else []


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"
