"""`dbutils`: what a Databricks notebook calls it, with what works outside of Databricks."""

from workspace.notebook.dbutils.widgets import Widgets


class NotebookExit(BaseException):  # it is no error, and no `except Exception` may stop it
    """Ends the notebook with a value, its text."""


class Notebook:
    """`dbutils.notebook`."""

    def exit(self, value: object = "") -> None:
        """End the notebook; the value is the run's."""
        raise NotebookExit(str(value))


class Utilities:
    """`dbutils`."""

    def __init__(self, widgets: Widgets) -> None:
        self.widgets = widgets
        self.notebook = Notebook()
