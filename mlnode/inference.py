"""Inference by transformers in the compute process: one model, a few answers side by side, token by token."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import torch

from mlnode.poc_worker import release_memory
from mlnode.sampling import Sampling, choose
from mlnode.scoring import Judgement, open_judgement
from mlnode.text_stream import TextStream
from mlnode.wire import Channel, Message

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

DTYPES = {
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "half": torch.float16,
    "float32": torch.float32,
    "float": torch.float32,
}


# Answers are scored where nobody waits for an answer, else so seldom that it costs those a few percent.
ROUNDS_PER_SCORE = 16
SCORES_WAITING_MAX = 4


@dataclass(frozen=True, slots=True)
class Model:
    """A loaded model with all that a request needs."""

    network: LlamaForCausalLM
    tokenizer: PreTrainedTokenizerFast
    end_ids: frozenset[int]
    context: int

    def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        """The prompt's tokens up to the assistant's answer; ValueError if the template refuses."""
        from jinja2 import TemplateError  # noqa: PLC0415 - with transformers, which is imported late

        try:
            prompt = self.tokenizer.apply_chat_template(
                list(messages), add_generation_prompt=True, tokenize=False
            )
        except TemplateError as error:
            raise ValueError(f"the model's chat template refuses these messages: {error}") from error
        ids: list[int] = self.tokenizer(prompt, add_special_tokens=False)["input_ids"]
        return ids


def prepare_transformers() -> None:
    """Imports what a load needs: seconds that are better spent before somebody waits for a model."""
    from transformers import DynamicCache, GenerationConfig, LlamaForCausalLM, PreTrainedTokenizerFast  # noqa: F401, PLC0415
    from transformers.utils import logging  # noqa: PLC0415

    logging.disable_progress_bar()


def load_model(folder: Path, dtype: str, context_max: int | None, device: torch.device) -> Model:
    """A Llama from safetensors, by class name: nothing in the folder is executed or unpickled."""
    from transformers import GenerationConfig, LlamaForCausalLM, PreTrainedTokenizerFast  # noqa: PLC0415

    network = LlamaForCausalLM.from_pretrained(
        folder, dtype=DTYPES.get(dtype, "auto"), local_files_only=True, use_safetensors=True
    )
    network.to(device).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    if not tokenizer.chat_template:
        raise ValueError("the model has no chat template")
    end = network.config.eos_token_id
    if (folder / "generation_config.json").is_file():
        end = GenerationConfig.from_pretrained(folder, local_files_only=True).eos_token_id or end
    end_ids = frozenset(end if isinstance(end, list) else [] if end is None else [end])
    context = int(network.config.max_position_embeddings)
    return Model(network, tokenizer, end_ids, min(context, context_max or context))


def generate_tokens(model: Model, prompt: Sequence[int], sampling: Sampling) -> Iterator[int]:
    """Endless tokens after `prompt`, each for one forward pass; the caller decides when it has enough."""
    from transformers import DynamicCache  # noqa: PLC0415

    device = model.network.device
    generator = torch.Generator(device)
    if sampling.seed is None:
        generator.seed()
    else:
        generator.manual_seed(sampling.seed)
    cache = DynamicCache(config=model.network.config)
    ids = torch.tensor([list(prompt)], device=device)
    while True:
        # The mode is per thread and must not stay on while the generator rests.
        with torch.inference_mode():
            output = model.network(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
            token = choose(output.logits[0, -1].float(), sampling, generator)
        yield token
        ids = torch.tensor([[token]], device=device)


@dataclass(frozen=True, slots=True)
class Delta:
    text: str
    finish_reason: str | None
    token: int


def generate_text(model: Model, prompt: Sequence[int], sampling: Sampling) -> Iterator[Delta]:
    """One Delta a token; the last one says why it is the last: stop or length."""
    text = TextStream(model.tokenizer.decode, sampling.stop)
    for count, token in enumerate(generate_tokens(model, prompt, sampling), start=1):
        if token in model.end_ids:
            yield Delta(text.flush(), "stop", token)
            return
        delta = text.push(token)
        if text.stopped:
            yield Delta(delta, "stop", token)
            return
        if count == sampling.tokens_max:
            rest = text.flush()
            yield Delta(delta + rest, "stop" if text.stopped else "length", token)
            return
        yield Delta(delta, None, token)


@dataclass
class Answer:
    """One running request."""

    request_id: int
    deltas: Iterator[Delta]
    prompt_tokens: int
    completion_tokens: int = 0


class Engine(threading.Thread):
    """Owns the model; every public method but `run` only leaves a command for the thread."""

    def __init__(
        self, channel: Channel, device: torch.device, threads: int, *, active_max: int, waiting_max: int
    ) -> None:
        super().__init__(name="inference", daemon=True)
        self._channel = channel
        self._device = device
        self._threads = threads
        self._active_max = active_max
        self._waiting_max = waiting_max
        self._commands: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._model: Model | None = None
        self._active: deque[Answer] = deque()
        self._waiting: deque[Answer] = deque()
        self._judgements: deque[Judgement] = deque()
        self._rounds = 0

    # commands

    def load(self, request: Message) -> None:
        self._commands.put(lambda: self._answer(request, self._load))

    def unload(self, request: Message) -> None:
        self._commands.put(lambda: self._answer(request, self._unload))

    def chat(self, request: Message) -> None:
        self._commands.put(lambda: self._admit(request))

    def score(self, request: Message) -> None:
        self._commands.put(lambda: self._admit_score(request))

    def cancel(self, request: Message) -> None:
        self._commands.put(lambda: self._drop(request["target"]))

    def _answer(self, request: Message, act: Callable[[Message], dict[str, Any]]) -> None:
        try:
            self._channel.reply(request["id"], **act(request))
        except Exception as error:  # noqa: BLE001 - a library's failure to load concerns this command alone
            self._model = None
            release_memory()
            kind = "invalid" if isinstance(error, ValueError) else "failed"
            self._channel.fail(request["id"], kind, f"{type(error).__name__}: {error}")

    # the thread

    def run(self) -> None:
        torch.set_num_threads(self._threads)
        prepare_transformers()

        while True:
            self._obey()
            while self._waiting and len(self._active) < self._active_max:
                self._active.append(self._waiting.popleft())
            for answer in list(self._active):
                self._step(answer)
            self._rounds += 1
            if self._judgements and (not self._active or self._rounds % ROUNDS_PER_SCORE == 0):
                self._step_score(self._judgements[0])

    def _obey(self) -> None:
        idle = not self._active and not self._waiting and not self._judgements
        try:
            while True:
                self._commands.get(block=idle)()
                idle = False
        except Empty:
            return

    def _load(self, request: Message) -> dict[str, Any]:
        self._unload(request)
        started = time.monotonic()
        self._model = load_model(
            Path(request["folder"]), request["dtype"], request["context_max"], self._device
        )
        loaded = time.monotonic()
        for _, _delta in zip(
            range(2), generate_text(self._model, [0], Sampling(2, 0, 1, (), None)), strict=False
        ):
            pass  # The first pass through each kernel is slow; nobody should wait for it.
        return {
            "context": self._model.context,
            "dtype": str(self._model.network.dtype).removeprefix("torch."),
            "phases": {"weights": loaded - started, "warm_up": time.monotonic() - loaded},
        }

    def _unload(self, _request: Message) -> dict[str, Any]:
        running: list[Answer | Judgement] = [*self._active, *self._waiting, *self._judgements]
        for answer in running:
            self._channel.fail(
                answer.request_id, "unavailable", "the model was taken down before the answer was done"
            )
        self._active.clear()
        self._waiting.clear()
        self._judgements.clear()
        self._model = None
        release_memory()
        return {}

    def _admit(self, request: Message) -> None:
        request_id = request["id"]
        if self._model is None:
            self._channel.fail(request_id, "unavailable", "no model is up")
            return
        if len(self._active) + len(self._waiting) >= self._active_max + self._waiting_max:
            message = (
                f"{len(self._active)} answers are computed and {len(self._waiting)} wait; try again later"
            )
            self._channel.fail(request_id, "full", message)
            return
        try:
            answer = self._open(self._model, request)
        except ValueError as error:
            self._channel.fail(request_id, "invalid", str(error))
            return
        self._channel.reply(request_id, last=False, prompt_tokens=answer.prompt_tokens)
        self._waiting.append(answer)

    @staticmethod
    def _open(model: Model, request: Message) -> Answer:
        prompt = model.encode_chat(request["messages"])
        room = model.context - len(prompt)
        if room < (request["max_tokens"] or 1):
            raise ValueError(
                f"the prompt has {len(prompt)} tokens and max_tokens is {request['max_tokens'] or 1}, "
                f"which is more than the model's context of {model.context}"
            )
        sampling = Sampling(
            tokens_max=request["max_tokens"] or min(room, request["max_tokens_default"]),
            temperature=request["temperature"],
            top_p=request["top_p"],
            stop=tuple(request["stop"]),
            seed=request["seed"],
        )
        return Answer(request["id"], generate_text(model, prompt, sampling), len(prompt))

    def _step(self, answer: Answer) -> None:
        try:
            delta = next(answer.deltas)
        except (RuntimeError, MemoryError) as error:
            self._active.remove(answer)
            release_memory()
            self._channel.fail(answer.request_id, "failed", f"{type(error).__name__}: {error}")
            return
        answer.completion_tokens += 1
        if delta.finish_reason is None:
            self._channel.reply(answer.request_id, last=False, text=delta.text, token=delta.token)
            return
        self._active.remove(answer)
        self._channel.reply(
            answer.request_id,
            text=delta.text,
            token=delta.token,
            finish_reason=delta.finish_reason,
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.completion_tokens,
        )

    def _drop(self, request_id: int) -> None:
        for answers in (self._active, self._waiting):
            for answer in [answer for answer in answers if answer.request_id == request_id]:
                answers.remove(answer)
        for judgement in [each for each in self._judgements if each.request_id == request_id]:
            self._judgements.remove(judgement)

    # scores, which yield to answers

    def _admit_score(self, request: Message) -> None:
        request_id = request["id"]
        if self._model is None:
            self._channel.fail(request_id, "unavailable", "no model is up")
            return
        if len(self._judgements) >= SCORES_WAITING_MAX:
            message = f"{len(self._judgements)} answers wait to be scored; try again later"
            self._channel.fail(request_id, "full", message)
            return
        try:
            self._judgements.append(open_judgement(self._model, request))
        except ValueError as error:
            self._channel.fail(request_id, "invalid", str(error))

    def _step_score(self, judgement: Judgement) -> None:
        try:
            scores = next(judgement.chunks, None)
        except (RuntimeError, MemoryError) as error:
            self._judgements.remove(judgement)
            release_memory()
            self._channel.fail(judgement.request_id, "failed", f"{type(error).__name__}: {error}")
            return
        if scores is not None:
            judgement.scores += scores
            return
        self._judgements.remove(judgement)
        listed = [score.as_json() for score in judgement.scores]
        self._channel.reply(judgement.request_id, tokens=listed, **judgement.facts)
