"""``migradetect info``."""

from __future__ import annotations

NAME = "info"
EXAMPLE = "Example: [bold]migradetect info[/]"


def command() -> None:
    """Print versions, for a bug report."""
    import os

    from migradetect.batch import auto_workers
    from migradetect.batch._worker import versions
    from migradetect.cli._console import stdout
    from migradetect.params import ENV_PREFIX, preset_names

    console = stdout()
    cores = auto_workers(1 << 20)
    lines = versions() | {"cores": str(cores), "presets": ", ".join(preset_names())}
    lines |= {name: value for name, value in sorted(os.environ.items()) if name.startswith(ENV_PREFIX)}
    width = max(map(len, lines))
    for name, value in lines.items():
        console.print(f"{name:<{width}}  {value}", markup=False)
