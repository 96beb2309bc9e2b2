"""Packages; everything else stands in pyproject.toml."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["migradetect", "migradetect.*"]), "migradetect_napari"],
    package_dir={"migradetect_napari": "napari_plugin"},
)
