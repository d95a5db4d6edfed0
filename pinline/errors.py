"""Every error that Pinline raises on purpose, as one tree.

PinlineError              the text says what was being done, what was found and what to type next
├── SettingsError         a setting is missing or its value can't be
├── UnreachableError      a system doesn't answer where its setting points
├── DataError             input that is refused as a whole (a CSV file, a configuration), nothing of it was taken
├── StateError            what is stored contradicts what is asked for (another seed, a recreated topic)
├── RefusedError          a system answers, and refuses what no second try can help
├── UnsentError           data was kept on disk because nobody would take it
└── DeadlineError         a wait ended before its condition held
"""


class PinlineError(Exception):
    """The base of the tree; a command prints its text and exits with `exit_code`."""

    exit_code = 1


class SettingsError(PinlineError):
    """A setting is missing or its value is not valid."""

    exit_code = 2


class UnreachableError(PinlineError):
    """A system does not answer where its setting points."""

    def __init__(self, system: str, address: str, setting: str, cause: object) -> None:
        super().__init__(f"cannot reach {system} at {address} ({setting}): {cause}. Is it running? Try: make status")
        self.system = system
        self.address = address
        self.setting = setting


class DataError(PinlineError):
    """Input is refused as a whole; nothing of it was taken."""


class StateError(PinlineError):
    """What is stored contradicts what was asked for."""


class DeadlineError(PinlineError):
    """A wait ended before its condition held."""


class RefusedError(PinlineError):
    """A system answers, and refuses for a reason that a second try can't help."""


class UnsentError(PinlineError):
    """Data was kept on disk because nobody would take it."""

    exit_code = 3
