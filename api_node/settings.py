"""All that an operator may set for the API node, by argument, flag, environment variable or code."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Flags of `python -m api_node.main`; the environment prefix is EVERGRID_API_."""

    model_config = SettingsConfigDict(
        env_prefix="EVERGRID_API_",
        cli_prog_name="api_node",
        cli_kebab_case=True,
        protected_namespaces=(),
        extra="forbid",
    )

    home: Path = Field(description="folder of this API node's own files: its queue of transactions")
    rpc_url: str = Field(default="http://127.0.0.1:26657", description="CometBFT's RPC")
    keyring_home: Path | None = Field(default=None, description="home that holds the keyring (default: home)")
    keyring_backend: str = Field(default="test", pattern="^(os|test|file)$", description="os, file or test")
    keyring_passphrase_file: Path | None = Field(
        default=None, description="file with the passphrase of the backend `file`"
    )
    key_name: str = Field(default="participant", description="the account key that signs")
    participant_key: str = Field(
        default="",
        pattern="^(0[23][0-9a-fA-F]{64})?$",
        description="public key (`evergrid keys show NAME --hex`) of the participant whose messages key_name "
        "may send, by grants of `evergrid tx authz grant-api-node` (default: key_name is that participant's)",
    )
    validator_key_file: Path | None = Field(
        default=None, description="priv_validator_key.json, for the proof of possession"
    )
    node_config: Path = Field(description="node-config.json: the MLNodes, as a JSON array")

    host: str = Field(default="127.0.0.1", description="address of the public and callback servers")
    public_port: int = Field(default=9000, ge=0, le=65535, description="port of the public API")
    callback_port: int = Field(default=9100, ge=0, le=65535, description="port for callbacks of MLNodes")
    admin_port: int = Field(
        default=9200, ge=0, le=65535, description="port of the admin API, always on loopback"
    )
    metrics_port: int = Field(default=9400, ge=0, le=65535, description="port of /metrics, on loopback")
    public_url: str = Field(
        default="", description="URL by which others reach the public API (default: host and port)"
    )
    callback_url: str = Field(
        default="", description="URL by which MLNodes reach the callback server (default: host and port)"
    )
    api_keys_file: Path | None = Field(
        default=None, description="one API key a line; without it anyone who reaches the public API is served"
    )
    admin_token_file: Path | None = Field(
        default=None, description="bearer token of the admin API (default: made in home)"
    )
    mlnode_token_file: Path | None = Field(
        default=None, description="bearer token sent to MLNodes and expected in their callbacks"
    )

    gas_price: str = Field(default="0", description="nevg per unit of gas, for messages that cost a fee")
    denom: str = Field(default="nevg", description="the fee's denom")
    max_tokens_default: int = Field(default=512, gt=0, description="max_tokens of a request that names none")
    request_timeout_s: float = Field(default=600.0, gt=0, description="longest time for one whole answer")
    load_timeout_s: float = Field(default=1200.0, gt=0, description="longest load of a model or a puzzle")
    node_timeout_s: float = Field(default=10.0, gt=0, description="longest wait for a quick MLNode call")
    poll_interval_s: float = Field(
        default=2.0, gt=0, description="how often heights are polled where no block is announced"
    )
    body_bytes_max: int = Field(default=4 * 2**20, gt=0, description="largest request body in bytes")
    body_timeout_s: float = Field(default=20.0, gt=0, description="longest time for a request's body")
    head_timeout_s: float = Field(default=20.0, gt=0, description="longest time for a request's headers")
    connections_max: int = Field(default=512, gt=0, description="most connections at once, per server")
    connections_per_address_max: int = Field(
        default=256,
        gt=0,
        description="most connections of one address, per server; behind a proxy: as many as connections_max",
    )
    shutdown_grace_s: float = Field(
        default=10.0, ge=0, description="how long running answers may finish at the end"
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="debug, info, warning or error"
    )
    log_format: Literal["console", "json"] = Field(default="console", description="console or json")

    executor_order: str = Field(
        default="throughput",
        pattern="^(throughput|own_first)$",
        description="who executes requests: drawn by throughput among all who may, or own nodes first",
    )
    queue_places_max: int = Field(
        default=64, ge=1, description="most requests that wait for a model; more are refused with 429"
    )
    queue_wait_s: float = Field(
        default=20.0, ge=0, description="how long a request may wait until somebody can serve it"
    )
    requests_per_key_per_s: float = Field(
        default=50.0, ge=0, description="most requests a second of one API key or requester, 0: any number"
    )
    queries_per_address_per_s: float = Field(
        default=50.0,
        ge=0,
        description="most questions a second of one address that the chain is asked for, 0: any number",
    )
    payload_bytes_max: int = Field(
        default=8 * 2**30,
        gt=0,
        description="most bytes of prompts and answers kept for validators; beyond it copies of what others "
        "executed go first, then own ones",
    )
    allow_private_peers: bool = Field(
        default=False,
        description="connect to other participants on loopback and in private networks too, for local "
        "networks: without it only public addresses are",
    )
    first_byte_timeout_s: float = Field(
        default=120.0, gt=0, description="longest wait for the first byte of a stream before another is asked"
    )

    @field_validator(
        "home",
        "keyring_home",
        "keyring_passphrase_file",
        "validator_key_file",
        "node_config",
        "api_keys_file",
        "admin_token_file",
        "mlnode_token_file",
    )
    @classmethod
    def expand(cls, path: Path | None) -> Path | None:
        return path.expanduser().absolute() if path else path


def read_secret(path: Path) -> str:
    """The secret in a file, stripped; ValueError when there is none, OSError when it cannot be read."""
    secret = path.read_text(encoding="utf-8").strip()
    if not secret:
        raise ValueError(f"the file {path} is empty")
    return secret
