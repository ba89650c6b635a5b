"""How vLLM judges a given answer: by the prompt_logprobs of prompt and answer together."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from mlnode.engines.base import Asked
from mlnode.engines.openai_server import OpenAIServer
from mlnode.errors import RefusedError
from mlnode.listed_scores import UnlistedError, judge_all
from mlnode.openai_schemas import ChatRequest, ScoreRequest
from mlnode.replay import Replay, replay_tokens

# The tokens that are listed at each place; mlnode/listed_scores.py says what becomes of the others.
LISTED = 128
CHAT_FIELDS = ("messages", "chat_template_kwargs")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What of a model's folder a judgement needs."""

    tokenizer: Tokenizer
    end_ids: frozenset[int]
    size: int

    @classmethod
    def read(cls, folder: Path) -> Vocabulary:
        """OSError or ValueError where the folder has none."""
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        config = config.get("text_config") or config
        end, path = config.get("eos_token_id"), folder / "generation_config.json"
        if path.is_file():
            end = json.loads(path.read_text(encoding="utf-8")).get("eos_token_id") or end
        ends = end if isinstance(end, list) else [] if end is None else [end]
        return cls(tokenizer, frozenset(ends), config.get("vocab_size") or tokenizer.get_vocab_size())


async def score(
    server: OpenAIServer,
    vocabulary: Vocabulary,
    asked: Asked[ScoreRequest],
    *,
    context: int | None,
    tokens_default: int,
) -> dict[str, Any]:
    """The judgement, in the words of the embedded engine's; RefusedError says why there can be none."""
    body, request = asked.request, asked.request.request
    problems = list(request.beyond_text())
    if len(request.prompts()) > 1:
        problems.append("prompt: one at a time can be judged")
    if problems:
        raise RefusedError(501, "; ".join(problems), code="unsupported")
    prompt = await _prompt_ids(server, asked)
    tokens, sampling = body.token_ids, request.sampling()
    room = tokens_default if context is None else min(context - len(prompt), tokens_default)
    _check(vocabulary, prompt, tokens, context)
    told = _replay(vocabulary, tokens, sampling["stop"], sampling["max_tokens"] or room)
    places = await _places(server, [*prompt, *tokens])
    facts = sampling | {"top": body.top_logprobs}
    try:
        scores = judge_all(places[len(prompt) :], tokens, facts, vocabulary.size, LISTED)
    except UnlistedError as error:
        raise RefusedError(501, str(error), code="unsupported") from error
    except ValueError as error:
        raise RefusedError(502, str(error), code="failed") from error
    return {
        "tokens": scores,
        "prompt_tokens": len(prompt),
        "completion_tokens": len(tokens),
        "text_matches": told.text == body.text,
        "finish_reason": told.finish_reason,
        "ended_by_token": told.ended_by_token,
    }


def _check(vocabulary: Vocabulary, prompt: list[int], tokens: list[int], context: int | None) -> None:
    if not all(token < vocabulary.size for token in tokens):
        text = "token_ids: there are ids that the model's vocabulary does not have"
        raise RefusedError(400, text, code="invalid")
    length = len(prompt) + len(tokens)
    if context is not None and length > context:
        text = f"{len(prompt)} + {len(tokens)} tokens are more than the context of {context}"
        raise RefusedError(400, text, code="invalid")
    if length == context:
        # It always writes one token behind what it judges.
        raise RefusedError(501, f"{length} tokens fill vLLM's context to its end", code="unsupported")


def _replay(vocabulary: Vocabulary, tokens: list[int], stop: list[str], tokens_max: int) -> Replay:
    try:
        decode = vocabulary.tokenizer.decode
        return replay_tokens(decode, vocabulary.end_ids, tokens, stop=stop, tokens_max=tokens_max)
    except ValueError as error:
        raise RefusedError(400, str(error), code="invalid") from error


async def _prompt_ids(server: OpenAIServer, asked: Asked[ScoreRequest]) -> list[int]:
    """The prompt's tokens as vLLM itself makes them."""
    raw, request = asked.raw["request"], asked.request.request
    if isinstance(request, ChatRequest):
        fields = {name: raw[name] for name in CHAT_FIELDS if name in raw}
        return await server.token_ids(fields | {"add_generation_prompt": True})
    prompt = request.prompts()[0]["text"]
    return await server.token_ids({"prompt": prompt}) if isinstance(prompt, str) else list(prompt)


async def _places(server: OpenAIServer, ids: list[int]) -> list[Any]:
    fields = {"prompt": ids, "prompt_logprobs": LISTED, "max_tokens": 1, "temperature": 0}
    answer = await server.whole_completion(fields)
    try:
        places = answer["choices"][0]["prompt_logprobs"]
    except (KeyError, IndexError, TypeError) as error:
        raise RefusedError(502, "the engine's answer has no prompt_logprobs", code="failed") from error
    if not isinstance(places, list) or len(places) != len(ids):
        raise RefusedError(502, "the engine's prompt_logprobs are not those of the prompt", code="failed")
    return places
