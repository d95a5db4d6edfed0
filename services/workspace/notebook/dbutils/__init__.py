"""`dbutils`: what a Databricks notebook calls it, with what works outside of Databricks."""

from workspace.notebook.dbutils.files import Files
from workspace.notebook.dbutils.notebooks import Notebook
from workspace.notebook.dbutils.secrets import Secrets
from workspace.notebook.dbutils.widgets import Widgets


class Utilities:
    """`dbutils`."""

    def __init__(self, fs: Files, notebook: Notebook, secrets: Secrets, widgets: Widgets) -> None:
        self.fs = fs
        self.notebook = notebook
        self.secrets = secrets
        self.widgets = widgets

    def help(self) -> None:
        """Print what there is."""
        print("dbutils.fs, dbutils.notebook, dbutils.secrets, dbutils.widgets; each as on Databricks")

    def __getattr__(self, name: str) -> object:
        raise AttributeError(f"dbutils.{name} is Databricks' own: here are fs, notebook, secrets and widgets")
