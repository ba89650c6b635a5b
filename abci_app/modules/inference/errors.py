"""What a sender can get wrong about an inference."""

from __future__ import annotations

from abci_app.kernel.errors import TxError


class InferenceError(TxError):
    codespace = "inference"


class InvalidInference(InferenceError):
    code = 2


class UnknownModel(InferenceError):
    code = 3


class ExecutorRefused(InferenceError):
    code = 4


class InferenceExists(InferenceError):
    code = 5


class WrongExecutor(InferenceError):
    code = 6


class RequestRefused(InferenceError):
    code = 7


class PriceRefused(InferenceError):
    code = 8


class ValidationRefused(InferenceError):
    code = 9
