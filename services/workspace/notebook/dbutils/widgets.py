"""`dbutils.widgets`: a run's parameters under the names that the notebook gives them."""

from collections.abc import Sequence

from pinline.errors import StateError


class Widgets:
    """The widgets of a notebook; a parameter of the run is the value of the widget of its name, defined or not."""

    def __init__(self, parameters: dict[str, str]) -> None:
        self._parameters = parameters
        self._defaults: dict[str, str] = {}

    def text(self, name: str, defaultValue: str, label: str | None = None) -> None:
        """Define a widget for any text."""
        self._defaults.setdefault(name, defaultValue)

    def dropdown(self, name: str, defaultValue: str, choices: Sequence[str], label: str | None = None) -> None:
        """Define a widget of one of `choices`. Raises StateError when the default is none of them."""
        self._choose(name, defaultValue, choices)

    def combobox(self, name: str, defaultValue: str, choices: Sequence[str], label: str | None = None) -> None:
        """Define a widget of one of `choices`, or of any other text."""
        self.text(name, defaultValue)

    def multiselect(self, name: str, defaultValue: str, choices: Sequence[str], label: str | None = None) -> None:
        """Define a widget of some of `choices`, with commas between them."""
        self._choose(name, defaultValue, choices)

    def get(self, name: str) -> str:
        """Return a widget's value. Raises StateError when there is no such widget or parameter."""
        found = self.getAll()
        if name not in found:
            raise StateError(
                f"InputWidgetNotDefined: there is no widget {name!r}; there are: {', '.join(found) or 'none'}. "
                f'Define it before: dbutils.widgets.text("{name}", "default")'
            )
        return found[name]

    def getArgument(self, name: str, defaultValue: str = "") -> str:
        """Return a widget's value, or the default when there is none of that name."""
        return self.getAll().get(name, defaultValue)

    def getAll(self) -> dict[str, str]:
        """Return the values of all widgets and parameters."""
        return {**self._defaults, **self._parameters}

    def remove(self, name: str) -> None:
        """Forget a widget."""
        self._defaults.pop(name, None)

    def removeAll(self) -> None:
        """Forget all widgets."""
        self._defaults.clear()

    def _choose(self, name: str, default: str, choices: Sequence[str]) -> None:
        if default not in choices:
            raise StateError(f"the widget {name!r} has the default {default!r}, which is none of {', '.join(choices)}")
        self.text(name, default)
