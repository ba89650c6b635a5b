"""Inference by transformers in the compute process: one model, many answers decoded together."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import torch

from mlnode.answers import Answer, Choice, Group, open_answer
from mlnode.batch import Batch, Prefill
from mlnode.cache_room import CacheRoom, Need
from mlnode.loading import Prepared, load_and_warm_up
from mlnode.model import Model, network_class, prepare_transformers
from mlnode.poc_worker import lower_priority, memory_free_bytes, release_memory
from mlnode.scoring import Judgement, open_judgement
from mlnode.wire import Channel, Message

# Answers are scored where nobody waits for an answer, else so seldom that it costs those a few percent.
ROUNDS_PER_SCORE = 16
SCORES_WAITING_MAX = 4


class Engine(threading.Thread):
    """Owns the model; every public method but `run` only leaves a command for the thread.

    A round is one chunk of one prompt that is being read, and one token for every running choice.
    """

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
        self._room: CacheRoom | None = None
        self._batch: Batch | None = None
        self._answers: dict[int, Answer] = {}
        self._waiting: deque[Group] = deque()
        # In the order of the batch.
        self._running: list[tuple[Answer, Choice]] = []
        self._judgements: deque[Judgement] = deque()
        self._prepared: Prepared | None = None
        self._rounds = 0

    # commands

    def check(self, request: Message) -> None:
        self._commands.put(lambda: self._answer(request, self._check))

    def load(self, request: Message) -> None:
        self._commands.put(lambda: self._answer(request, self._load))

    def unload(self, request: Message) -> None:
        self._commands.put(lambda: self._answer(request, self._unload))

    def prepare(self, request: Message) -> None:
        self._commands.put(lambda: self._prepare(request))

    def forget(self, request: Message) -> None:
        self._commands.put(lambda: self._answer(request, self._forget))

    def tokenize(self, request: Message) -> None:
        self._commands.put(lambda: self._answer(request, self._tokenize))

    def generate(self, request: Message) -> None:
        self._commands.put(lambda: self._admit(request))

    def score(self, request: Message) -> None:
        self._commands.put(lambda: self._admit_score(request))

    def cancel(self, request: Message) -> None:
        self._commands.put(lambda: self._drop(request["target"]))

    def _answer(self, request: Message, act: Callable[[Message], dict[str, Any]]) -> None:
        try:
            self._channel.reply(request["id"], **act(request))
        except Exception as error:  # noqa: BLE001 - a library's failure concerns this command alone
            release_memory()
            kind = "invalid" if isinstance(error, ValueError) else "failed"
            self._channel.fail(request["id"], kind, f"{type(error).__name__}: {error}")

    # the thread

    def run(self) -> None:
        torch.set_num_threads(self._threads)
        prepare_transformers()

        while True:
            self._obey()
            if self._waiting:
                self._read_prompt(self._waiting[0])
            if self._running:
                self._step()
            self._rounds += 1
            if self._judgements and (not self._answers or self._rounds % ROUNDS_PER_SCORE == 0):
                self._step_score(self._judgements[0])

    def _obey(self) -> None:
        idle = not self._answers and not self._judgements
        try:
            while True:
                self._commands.get(block=idle)()
                idle = False
        except Empty:
            return

    def _check(self, request: Message) -> dict[str, Any]:
        network_class(Path(request["folder"]))
        return {}

    def _load(self, request: Message) -> dict[str, Any]:
        self._unload(request)
        prepared, self._prepared = self._prepared, None
        phases = {"weights": 0.0, "warm_up": 0.0}
        if prepared is None or prepared.key != Prepared.key_of(request):
            prepared = None  # what was prepared for something else makes room first
            release_memory()
            prepared, phases = load_and_warm_up(request, self._device)
        room = CacheRoom.after_load(self._device, prepared.token_bytes, request.get("cache_bytes"))
        self._model, self._room, self._batch = prepared.model, room, Batch(prepared.model.network)
        dtype = str(prepared.model.network.dtype).removeprefix("torch.")
        loaded = {"context": self._context(), "dtype": dtype, "phases": phases}
        return loaded | {"cache_bytes": room.bytes_max, "cache_tokens": room.tokens_max}

    def _prepare(self, request: Message) -> None:
        """Loads beside the running answers, behind them in priority, if the memory is there."""
        request_id, key = request["id"], Prepared.key_of(request)
        if self._prepared is not None and self._prepared.key == key:
            self._channel.reply(request_id, loaded=True, reason=None, phases={})
            return
        self._prepared = None
        release_memory()
        free = memory_free_bytes(self._device)
        if request["bytes_needed"] > free:
            reason = f"it needs {request['bytes_needed']} bytes of memory, {free} are free"
            self._channel.reply(request_id, loaded=False, reason=reason, phases={})
            return
        threading.Thread(target=self._prepare_apart, args=(request,), daemon=True).start()

    def _prepare_apart(self, request: Message) -> None:
        lower_priority()
        try:
            prepared, phases = load_and_warm_up(request, self._device)
        except Exception as error:  # noqa: BLE001 - a library's failure concerns this command alone
            self._channel.fail(request["id"], "failed", f"{type(error).__name__}: {error}")
            return

        def keep() -> None:
            self._prepared = prepared
            self._channel.reply(request["id"], loaded=True, reason=None, phases=phases)

        self._commands.put(keep)

    def _forget(self, _request: Message) -> dict[str, Any]:
        self._prepared = None
        release_memory()
        return {}

    def _unload(self, _request: Message) -> dict[str, Any]:
        self._fail_all("unavailable", "the model was taken down before the answer was done")
        for judgement in self._judgements:
            self._channel.fail(judgement.request_id, "unavailable", "the model was taken down")
        self._judgements.clear()
        self._model, self._batch = None, None
        release_memory()
        return {}

    def _tokenize(self, request: Message) -> dict[str, Any]:
        if self._model is None:
            raise RuntimeError("no model is up")
        prompt = request["prompt"]
        if "messages" in prompt:
            generation = request["add_generation_prompt"]
            ids = self._model.encode_chat(prompt["messages"], add_generation_prompt=generation)
        else:
            special = request["add_special_tokens"]
            self._model.check_chars(len(prompt["text"]))
            ids = self._model.tokenizer(prompt["text"], add_special_tokens=special)["input_ids"]
        return {"tokens": ids, "context": self._context()}

    def _context(self) -> int:
        """What a single answer may have: a context that memory does not hold is none."""
        assert self._model is not None and self._room is not None
        return min(self._model.context, self._room.tokens_max)

    def _admit(self, request: Message) -> None:
        request_id = request["id"]
        if self._model is None or self._room is None:
            self._channel.fail(request_id, "unavailable", "no model is up")
            return
        if len(self._answers) >= self._active_max + self._waiting_max:
            message = f"{len(self._answers)} answers are computed or wait for it; try again later"
            self._channel.fail(request_id, "full", message)
            return
        try:
            answer = open_answer(self._model, request)
            for group in answer.groups:
                self._room.check(group.need)
        except Exception as error:  # noqa: BLE001 - a request that a library cannot read concerns nobody else
            self._fail_reading(request_id, error)
            return
        self._answers[request_id] = answer
        self._waiting += answer.groups
        self._channel.reply(request_id, last=False, prompt_tokens=answer.usage()["prompt_tokens"])

    def _fail_reading(self, request_id: int, error: Exception) -> None:
        if isinstance(error, ValueError):
            self._channel.fail(request_id, "invalid", str(error))
        else:
            # What a library says may quote the prompt.
            self._channel.fail(request_id, "failed", f"it cannot be read: {type(error).__name__}")

    def _read_prompt(self, group: Group) -> None:
        """The next chunk of a prompt; at its end the first token of each of its choices."""
        assert self._model is not None
        if group.prefill is None and not self._may_begin(group):
            return
        try:
            group.prefill = group.prefill or Prefill(self._model.network, group.prompt)
            if group.prefill.step():
                return
        except (RuntimeError, MemoryError) as error:
            self._fail(group.answer.request_id, error)
            return
        self._waiting.popleft()
        self._join(group, group.prefill)

    def _needs(self) -> list[Need]:
        """What the running choices, and those of a prompt that is being read, will have at their ends."""
        needs = [Need(1, choice.length_max) for _, choice in self._running]
        return needs + [group.need for group in self._waiting if group.prefill is not None]

    def _may_begin(self, group: Group) -> bool:
        """Whether there is a place, and the memory for all of the group's choices to their ends."""
        if self._running and len(self._running) + len(group.choices) > self._active_max:
            return False
        if self._judgements and self._judgements[0].waits:
            return False
        return self._has_room(group.need, 0, group.answer.request_id)

    def _has_room(self, more: Need, apart: int, request_id: int) -> bool:
        """Whether so much may begin beside what runs; where nothing runs and it may not, it fails."""
        assert self._room is not None and self._batch is not None
        needs = [*self._needs(), more]
        begun = sum(judgement.tokens for judgement in self._judgements if judgement.is_begun)
        if not self._room.fits(needs, begun + apart):
            return False
        rows = sum(need.rows for need in needs)
        growth = rows * max(need.tokens for need in needs) + apart - self._batch.tokens
        if self._room.fits_now(self._device, growth):
            return True
        if len(needs) == 1 and not begun:
            self._fail_as(request_id, "unavailable", "other programs have taken the memory that this needs")
        return False

    def _join(self, group: Group, prefill: Prefill) -> None:
        assert self._batch is not None
        group.prefill = None
        going = []
        for choice in group.choices:
            self._take(group.answer, choice, prefill.logits)
            if not choice.is_done:
                going.append((group.answer, choice))
        if not going or group.answer.request_id not in self._answers:
            return
        try:
            self._batch.join(prefill.cache, len(going))
        except (RuntimeError, MemoryError) as error:
            self._fail(group.answer.request_id, error)
            return
        self._running += going

    def _step(self) -> None:
        assert self._batch is not None
        try:
            logits = self._batch.step([choice.token for _, choice in self._running])
        except (RuntimeError, MemoryError) as error:
            # How far each layer's cache has come is unknown, so none of them can go on.
            self._fail_all("failed", f"{type(error).__name__}: {error}")
            return
        for row, (answer, choice) in enumerate(self._running):
            self._take(answer, choice, logits[row])
        self._keep_running()

    def _take(self, answer: Answer, choice: Choice, logits: torch.Tensor) -> None:
        if answer.request_id not in self._answers:
            return  # another of its choices has failed
        try:
            delta = choice.take(logits)
        except ArithmeticError as error:
            # Its rows leave the batch with those that are done.
            del self._answers[answer.request_id]
            self._waiting = deque(group for group in self._waiting if group.answer is not answer)
            self._channel.fail(answer.request_id, "failed", str(error))
            return
        if answer.is_done:
            del self._answers[answer.request_id]
            self._channel.reply(answer.request_id, choice=choice.index, **delta | answer.usage())
        else:
            self._channel.reply(answer.request_id, last=False, choice=choice.index, **delta)

    def _keep_running(self) -> None:
        """Rows of choices that are done, or that nobody waits for, leave the batch."""
        assert self._batch is not None
        kept = [
            row
            for row, (answer, choice) in enumerate(self._running)
            if answer.request_id in self._answers and not choice.is_done
        ]
        self._batch.keep(kept)
        self._running = [self._running[row] for row in kept]

    def _drop(self, request_id: int) -> None:
        if self._answers.pop(request_id, None):
            self._waiting = deque(group for group in self._waiting if group.answer.request_id != request_id)
            self._keep_running()
        for judgement in [each for each in self._judgements if each.request_id == request_id]:
            self._judgements.remove(judgement)

    def _fail(self, request_id: int, error: Exception) -> None:
        self._fail_as(request_id, "failed", f"{type(error).__name__}: {error}")

    def _fail_as(self, request_id: int, kind: str, message: str) -> None:
        self._drop(request_id)
        release_memory()
        self._channel.fail(request_id, kind, message)

    def _fail_all(self, kind: str, message: str) -> None:
        for request_id in self._answers:
            self._channel.fail(request_id, kind, message)
        self._answers.clear()
        self._waiting.clear()
        self._running = []
        if self._model is not None:
            self._batch = Batch(self._model.network)
        release_memory()

    # scores, which yield to answers

    def _admit_score(self, request: Message) -> None:
        request_id = request["id"]
        if self._model is None or self._room is None:
            self._channel.fail(request_id, "unavailable", "no model is up")
            return
        if len(self._judgements) >= SCORES_WAITING_MAX:
            message = f"{len(self._judgements)} answers wait to be scored; try again later"
            self._channel.fail(request_id, "full", message)
            return
        try:
            judgement = open_judgement(self._model, request)
        except Exception as error:  # noqa: BLE001 - a request that a library cannot read concerns nobody else
            self._fail_reading(request_id, error)
            return
        if judgement.tokens > self._room.tokens_max:
            message = f"{judgement.tokens} tokens are more than the {self._room.tokens_max} that memory holds"
            self._channel.fail(request_id, "unavailable", message)
            return
        self._judgements.append(judgement)

    def _step_score(self, judgement: Judgement) -> None:
        if not judgement.is_begun:
            # While it waits for room no other answer begins, so that there is some in the end.
            judgement.waits = not self._has_room(Need(0, 0), judgement.tokens, judgement.request_id)
            if judgement.waits:
                return
            judgement.is_begun = True
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
