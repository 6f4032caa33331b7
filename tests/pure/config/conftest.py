"""A project folder and a PATH of our own, so that nothing depends on what this machine has installed."""

from __future__ import annotations

import os

import pytest


class Project:
    """folder: where the files are; environ: HOME and PATH inside of the test's own folder."""

    def __init__(self, root):
        self.root = str(root)
        self.home = self.folder_at("home")
        self.bin = self.folder_at("bin")
        self.folder = self.folder_at("home/work/project")
        self.environ = {"HOME": self.home, "PATH": self.bin}

    def folder_at(self, name):
        path = os.path.join(self.root, name)
        os.makedirs(path, exist_ok=True)
        return path

    def file(self, name, text="", *, mode=0o644):
        """Write a file of the project; returns its absolute path."""
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(path, mode)
        return path

    def program(self, name):
        """Put an executable that is not a script on PATH or, with slashes, into the project."""
        folder = self.folder if "/" in name else self.bin
        path = os.path.normpath(os.path.join(folder, name))
        return self.file(path, "\x7fELF", mode=0o755)


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)
