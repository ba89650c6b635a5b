"""The settings of one node: HOME/config/app.toml, and the environment above it.

HOME/config holds the keys and what an operator edits; HOME/data what the programs write: CometBFT's data
bases, and in HOME/data/app the chain's own store.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from abci_app.node.server import Address

__all__ = ["ConfigError", "NodeSettings", "load_settings", "split_address"]

ENV_PREFIX: Final = "EVERGRID_CHAIN_"
HostPort = Annotated[str, StringConstraints(pattern=r"^((\[[0-9a-fA-F:]+\]|[^:\s]+):[0-9]{1,5})?$")]


class ConfigError(ValueError):
    """The node cannot start as it is configured; the text names all that is wrong."""


class NodeSettings(BaseSettings):
    """What one node's processes need to know; addresses are HOST:PORT, an empty one switches a server off."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="forbid", frozen=True)

    home: Path
    abci_address: str = ""
    rpc_url: str = "http://127.0.0.1:26657"
    grpc_address: HostPort = "127.0.0.1:9090"
    rest_address: HostPort = "127.0.0.1:1317"
    metrics_address: HostPort = "127.0.0.1:26661"
    cors_origins: list[str] = ["*"]
    retain_heights: int = Field(default=1000, ge=1)
    snapshot_interval: int = Field(default=1000, ge=0)
    snapshot_keep_recent: int = Field(default=2, ge=1, le=100)
    snapshot_chunk_kib: int = Field(default=8192, ge=1, le=12_288)
    metrics_participants_max: int = Field(default=100, ge=0, le=10_000)
    verify_threads: int = Field(default=0, ge=0, le=256)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["console", "json"] = "console"

    @field_validator("abci_address")
    @classmethod
    def _is_abci_address(cls, text: str) -> str:
        if text:
            Address.parse(text)
        return text

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What the caller gives wins over the environment, which wins over the file in the home."""
        del dotenv_settings, file_secret_settings
        assert isinstance(init_settings, InitSettingsSource)
        toml = Path(init_settings.init_kwargs["home"]) / "config" / "app.toml"
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml)

    @property
    def genesis_file(self) -> Path:
        return self.home / "config" / "genesis.json"

    @property
    def store_dir(self) -> Path:
        """Where the chain's own state lies."""
        return self.home / "data" / "app"

    @property
    def snapshots_dir(self) -> Path:
        """Where its snapshots lie."""
        return self.home / "data" / "snapshots"


def load_settings(home: Path, **overrides: Any) -> NodeSettings:
    """The settings of a home; raises ConfigError with every value that is wrong."""
    try:
        return NodeSettings(home=home.absolute(), **overrides)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        file = home / "config" / "app.toml"
        raise ConfigError(f"{file} or the environment is wrong:\n" + "\n".join(lines)) from error
    except ValueError as error:  # no TOML
        raise ConfigError(f"{home / 'config' / 'app.toml'}: {error}") from error


def split_address(text: str) -> tuple[str, int]:
    """Host and port of HOST:PORT."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)
