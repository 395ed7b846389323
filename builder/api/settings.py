"""The configuration a function of the API works with, however it was given."""

from collections.abc import Mapping
from pathlib import Path

from builder.config import BuildConfig, ConfigError, config_from, load_config
from builder.workspace import Workspace

#: A configuration, its settings as a mapping, or the YAML file that has them.
Settings = BuildConfig | Mapping[str, object] | Path | str


def read_settings(given: Settings | None, workspace: Workspace) -> BuildConfig:
    """A configuration; the one the workspace keeps where none is given.

    Raises:
        ConfigError: A setting is wrong, or there is no configuration at all.
    """
    if isinstance(given, BuildConfig):
        return given
    if isinstance(given, Mapping):
        return config_from(given)
    if given is None and not workspace.config_path.exists():
        raise ConfigError(
            f"{workspace.config_path}: no such file. Name a configuration with --config."
        )
    return load_config(Path(given) if given is not None else workspace.config_path)
