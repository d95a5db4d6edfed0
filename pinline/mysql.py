"""SQLAlchemy engines for the source database: one that only reads, one that seeds."""

from sqlalchemy import URL, Engine, create_engine

from pinline.errors import SettingsError
from pinline.settings import Settings, secret


def reader_engine(settings: Settings, **options: object) -> Engine:
    """Return a pooled engine of `RDS_USER`, who can only read."""
    return _engine(settings, settings.rds_user, secret(settings.rds_password, "RDS_PASSWORD"), options)


def admin_engine(settings: Settings, **options: object) -> Engine:
    """Return an engine of `RDS_ADMIN_USER`, who creates tables and loads them."""
    if settings.rds_admin_user is None:
        raise SettingsError("RDS_ADMIN_USER is not set, and seeding needs a user who may create and load tables.")
    password = secret(settings.rds_admin_password, "RDS_ADMIN_PASSWORD")
    return _engine(settings, settings.rds_admin_user, password, options)


def _engine(settings: Settings, user: str, password: str, options: dict[str, object]) -> Engine:
    connect_args: dict[str, object] = {"connect_timeout": 5, "init_command": "SET time_zone = '+00:00'"}
    if settings.rds_ssl_ca:
        connect_args |= {"ssl_ca": str(settings.rds_ssl_ca), "ssl_verify_cert": True, "ssl_verify_identity": True}
    extra = options.pop("connect_args", {})
    url = URL.create(
        "mysql+pymysql",
        username=user,
        password=password,
        host=settings.rds_host,
        port=settings.rds_port,
        database=settings.rds_database,
        query={"charset": "utf8mb4"},
    )
    return create_engine(url, pool_pre_ping=True, connect_args={**connect_args, **extra}, **options)  # type: ignore[dict-item]
