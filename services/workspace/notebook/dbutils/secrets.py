"""`dbutils.secrets`: the settings and the environment; a secret's name is a setting's, in any case, `-` or `_`."""

from typing import NamedTuple

from pydantic import SecretStr

from pinline.errors import SettingsError
from pinline.settings import Settings, environment


class SecretMetadata(NamedTuple):
    """The name of a secret."""

    key: str


class SecretScope(NamedTuple):
    """The name of a scope."""

    name: str


class Secrets:
    """`dbutils.secrets`. Every scope holds the same secrets."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def get(self, scope: str, key: str) -> str:
        """Return a secret. Raises SettingsError when no setting or variable has its name."""
        name = key.upper().replace("-", "_")
        value = getattr(self._settings, name.lower(), None)
        if isinstance(value, SecretStr):
            return value.get_secret_value()
        found = environment(self._settings).get(name)
        if not found:
            raise SettingsError(
                f"Secret does not exist with scope: {scope} and key: {key}. Set {name} in .env or in the environment."
            )
        return found

    def getBytes(self, scope: str, key: str) -> bytes:
        """Return a secret as bytes."""
        return self.get(scope, key).encode()

    def listScopes(self) -> list[SecretScope]:
        """Return the scopes."""
        return [SecretScope("pinline")]

    def list(self, scope: str) -> list[SecretMetadata]:
        """Return the names of the secrets that the settings hold."""
        held = [name for name, value in self._settings if isinstance(value, SecretStr)]
        return [SecretMetadata(name) for name in held]
