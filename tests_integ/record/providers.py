"""The providers behind the gateway: how each is asked for, and how it says things on its native wire."""

from __future__ import annotations

import dataclasses
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from tests_integ.upstream import Gate, Reply, json_reply, sse_reply
from tests_integ.wires import anthropic, bedrock, cohere, google, openai
from tests_integ.wires.said import Call, Counts, Redacted, Said, Text

Why = Literal["end", "tool", "length", "stop"]


@dataclass(frozen=True, eq=False)
class Provider(ABC):
    """One provider.

    Attributes:
        folder: The folder of its recordings.
        slug: The gateway's name for it.
        model: The model asked for.
        headers: More request headers.
        path: The path of the base URL.
    """

    folder: str
    slug: str
    model: str
    headers: Mapping[str, str] = field(default_factory=dict)
    path: str = "/v1"

    reasons: ClassVar[Mapping[Why, str]]
    """The native finish reasons."""

    @abstractmethod
    def stream(self, said: Sequence[Said], finish_reason: str, counts: Counts) -> Reply:
        """Return what was said as a whole stream."""

    @abstractmethod
    def answer(self, said: Sequence[Said], finish_reason: str, counts: Counts) -> Reply:
        """Return what was said in one JSON body."""

    @abstractmethod
    def error(self, status: int, message: str, kind: str, headers: Mapping[str, str] | None = None) -> Reply:
        """Return a refusal in the native form."""

    def stream_error(self, status: int, message: str, kind: str, headers: Mapping[str, str] | None = None) -> Reply:
        """Return a refusal where a stream was asked for: with most the same."""
        return self.error(status, message, kind, headers)

    def cut(self, said: Sequence[Said], keep: int) -> Reply:
        """Return a stream that ends after `keep` pieces, as when the provider dies; a gate stands before its end."""
        whole = self.stream(said, self.reasons["end"], Counts())
        return dataclasses.replace(whole, pieces=[*whole.pieces[:keep], Gate()], ending="cut")


class Anthropic(Provider):
    """Claude, on Anthropic's own servers and on Vertex AI."""

    reasons: ClassVar[Mapping[Why, str]] = {
        "end": "end_turn",
        "tool": "tool_use",
        "length": "max_tokens",
        "stop": "stop_sequence",
    }

    @staticmethod
    def usage(counts: Counts) -> dict[str, int]:
        """Return the native usage: `input_tokens` is without what the cache took part in."""
        usage = {"input_tokens": counts.fresh, "output_tokens": counts.output + counts.reasoning}
        if counts.read or counts.written:
            usage |= {"cache_read_input_tokens": counts.read, "cache_creation_input_tokens": counts.written}
        return usage

    def stream(self, said: Sequence[Said], finish_reason: str, counts: Counts) -> Reply:
        """Return what was said as a whole stream."""
        blocks = [self._block(one) for one in said]
        return anthropic.stream(*blocks, stop_reason=finish_reason, usage=self.usage(counts))

    def answer(self, said: Sequence[Said], finish_reason: str, counts: Counts) -> Reply:
        """Return what was said in one JSON body."""
        blocks = [self._whole(one) for one in said]
        return anthropic.answer(*blocks, stop_reason=finish_reason, usage=self.usage(counts))

    def error(self, status: int, message: str, kind: str, headers: Mapping[str, str] | None = None) -> Reply:
        """Return a refusal in the native form."""
        return anthropic.error(status, kind, message, headers)

    @staticmethod
    def _block(one: Said) -> anthropic.Block:
        if isinstance(one, Text):
            return anthropic.text(*one.pieces)
        if isinstance(one, Redacted):
            return anthropic.redacted_thinking(one.data)
        if isinstance(one, Call):
            return anthropic.tool_use(one.call_id, one.name, *one.pieces)
        return anthropic.thinking(*one.pieces, signature=one.signature or "")

    @staticmethod
    def _whole(one: Said) -> dict[str, Any]:
        if isinstance(one, Text):
            return {"type": "text", "text": one.whole}
        if isinstance(one, Redacted):
            return {"type": "redacted_thinking", "data": one.data}
        if isinstance(one, Call):
            return {"type": "tool_use", "id": one.call_id, "name": one.name, "input": one.input}
        return {"type": "thinking", "thinking": one.whole, "signature": one.signature or ""}


class Google(Provider):
    """Gemini, on the Gemini API and on Vertex AI."""

    reasons: ClassVar[Mapping[Why, str]] = {"end": "STOP", "tool": "STOP", "length": "MAX_TOKENS", "stop": "STOP"}

    @property
    def vertex(self) -> bool:
        """Whether it is Vertex AI."""
        return self.slug == "vertex-ai"

    def stream(self, said: Sequence[Said], finish_reason: str, counts: Counts) -> Reply:
        """Return what was said as a whole stream."""
        return google.said_stream(said, finish_reason, counts, vertex=self.vertex)

    def answer(self, said: Sequence[Said], finish_reason: str, counts: Counts) -> Reply:
        """Return what was said in one JSON body."""
        return google.said_answer(said, finish_reason, counts)

    def error(self, status: int, message: str, kind: str, headers: Mapping[str, str] | None = None) -> Reply:
        """Return a refusal in the native form."""
        return google.error(status, message, kind, headers)

    def stream_error(self, status: int, message: str, kind: str, headers: Mapping[str, str] | None = None) -> Reply:
        """Return a refusal; an array on the Gemini API."""
        return google.error(status, message, kind, headers, array=not self.vertex)


class Bedrock(Provider):
    """Bedrock's Converse."""

    reasons: ClassVar[Mapping[Why, str]] = {
        "end": "end_turn",
        "tool": "tool_use",
        "length": "max_tokens",
        "stop": "stop_sequence",
    }

    def stream(self, said: Sequence[Said], finish_reason: str, counts: Counts) -> Reply:
        """Return what was said as a whole stream."""
        return bedrock.said_stream(said, finish_reason, counts)

    def answer(self, said: Sequence[Said], finish_reason: str, counts: Counts) -> Reply:
        """Return what was said in one JSON body."""
        return bedrock.said_answer(said, finish_reason, counts)

    def error(self, status: int, message: str, kind: str, headers: Mapping[str, str] | None = None) -> Reply:
        """Return a refusal in the native form."""
        return bedrock.error(status, message, kind, headers)


class Cohere(Provider):
    """Cohere, version 2."""

    reasons: ClassVar[Mapping[Why, str]] = {
        "end": "COMPLETE",
        "tool": "TOOL_CALL",
        "length": "MAX_TOKENS",
        "stop": "STOP_SEQUENCE",
    }

    def stream(self, said: Sequence[Said], finish_reason: str, counts: Counts) -> Reply:
        """Return what was said as a whole stream."""
        return cohere.said_stream(said, finish_reason, counts)

    def answer(self, said: Sequence[Said], finish_reason: str, counts: Counts) -> Reply:
        """Return what was said in one JSON body."""
        return cohere.said_answer(said, finish_reason, counts)

    def error(self, status: int, message: str, kind: str, headers: Mapping[str, str] | None = None) -> Reply:  # noqa: ARG002
        """Return a refusal in the native form, which names no kind."""
        return cohere.error(status, message, headers)


@dataclass(frozen=True, eq=False)
class OpenAILike(Provider):
    """OpenAI, and providers whose protocol differs slightly from it.

    Attributes:
        reasoning: The key of the delta that thoughts come under; `content` for Mistral's parts.
        whole_calls: Calls come whole in one delta instead of in pieces.
        usage_on: The chunk that has the usage: the one that finishes, or one after it with empty `choices`, or one
            after it with an empty delta, or Groq's own key `x_groq` on the one that finishes.
        newline: What ends an event.
        done: Whether `[DONE]` ends the stream.
    """

    reasoning: Literal["reasoning_content", "reasoning", "content"] = "reasoning_content"
    whole_calls: bool = False
    usage_on: Literal["finish", "choiceless", "empty", "x_groq"] = "choiceless"
    newline: str = "\n\n"
    done: bool = True

    reasons: ClassVar[Mapping[Why, str]] = {"end": "stop", "tool": "tool_calls", "length": "length", "stop": "stop"}

    def usage(self, counts: Counts) -> dict[str, Any]:
        """Return the native usage: it counts what the cache took part in and the reasoning."""
        given, made = counts.fresh + counts.read + counts.written, counts.output + counts.reasoning
        usage: dict[str, Any] = {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made}
        if counts.read:
            usage["prompt_tokens_details"] = {"cached_tokens": counts.read}
        if counts.reasoning:
            usage["completion_tokens_details"] = {"reasoning_tokens": counts.reasoning}
        if self.slug == "deepseek":
            usage |= {"prompt_cache_hit_tokens": counts.read, "prompt_cache_miss_tokens": counts.fresh}
        return usage

    def deltas(self, said: Iterable[Said]) -> list[dict[str, Any]]:
        """Return the deltas."""
        made: list[dict[str, Any]] = []
        index = 0
        for one in said:
            if isinstance(one, Text):
                made += openai.text(*one.pieces)
            elif isinstance(one, Call):
                made += self.call(index, one)
                index += 1
            elif isinstance(one, Redacted):
                raise TypeError(f"{self.slug} has no redacted thinking.")
            elif self.reasoning == "content":
                made += [
                    {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": piece}]}]}
                    for piece in one.pieces
                ]
            else:
                made += openai.reasoning(*one.pieces, key=self.reasoning)
                if self.slug == "openrouter":
                    for delta in made[-len(one.pieces) :]:
                        detail = {"type": "reasoning.text", "text": delta["reasoning"], "format": None, "index": 0}
                        delta["reasoning_details"] = [detail]
        return made

    def call(self, index: int, one: Call) -> list[dict[str, Any]]:
        """Return the deltas of a call."""
        if not self.whole_calls:
            return openai.tool_call(index, one.call_id, one.name, *one.pieces)
        return [{"tool_calls": [self.whole_call(index, one)]}]

    def whole_call(self, index: int, one: Call) -> dict[str, Any]:
        """Return a call in one piece; Mistral leaves the type out."""
        function = {"name": one.name, "arguments": "".join(one.pieces) or "{}"}
        kind = {} if self.slug == "mistral-ai" else {"type": "function"}
        return {"index": index, "id": one.call_id, **kind, "function": function}

    def stream(self, said: Sequence[Said], finish_reason: str, counts: Counts) -> Reply:
        """Return what was said as a whole stream."""
        return self.stream_of(self.deltas(said), finish_reason, self.usage(counts))

    def stream_of(
        self, deltas: Sequence[Mapping[str, Any]], finish_reason: str | None, usage: Mapping[str, Any] | None
    ) -> Reply:
        """Return a whole stream of deltas."""
        on_finish = usage if self.usage_on == "finish" else None
        groq = {"x_groq": {"id": "req_1", "usage": usage}} if self.usage_on == "x_groq" and usage else {}
        pieces = [openai.chunk({"role": "assistant", "content": ""}, model=self.model)]
        pieces += [openai.chunk(dict(delta), model=self.model) for delta in deltas]
        if finish_reason is not None:
            pieces.append(openai.chunk({}, finish_reason, on_finish, model=self.model, **groq))
        if usage is not None and self.usage_on == "choiceless":
            pieces.append(openai.chunk(usage=usage, model=self.model))
        if usage is not None and self.usage_on == "empty":
            pieces.append(openai.chunk({"role": "assistant", "content": ""}, None, usage, model=self.model))
        if self.done:
            pieces.append(openai.DONE)
        newline = self.newline.encode()
        return sse_reply([piece.replace(b"\n\n", newline) for piece in pieces])

    def answer(self, said: Sequence[Said], finish_reason: str, counts: Counts) -> Reply:
        """Return what was said in one JSON body."""
        calls = [one for one in said if isinstance(one, Call)]
        texts = [one.whole for one in said if isinstance(one, Text)]
        thoughts = [one.whole for one in said if not isinstance(one, Text | Call | Redacted)]
        message: dict[str, Any] = {"role": "assistant", "content": "".join(texts) if texts else None}
        if thoughts and self.reasoning == "content":
            message["content"] = [
                *({"type": "thinking", "thinking": [{"type": "text", "text": thought}]} for thought in thoughts),
                *({"type": "text", "text": text} for text in texts),
            ]
        elif thoughts:
            message[self.reasoning] = "".join(thoughts)
        if calls:
            message["tool_calls"] = [
                {key: value for key, value in self.whole_call(0, one).items() if key != "index"} for one in calls
            ]
        return json_reply(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1700000000,
                "model": self.model,
                "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}],
                "usage": self.usage(counts),
            }
        )

    def error(self, status: int, message: str, kind: str, headers: Mapping[str, str] | None = None) -> Reply:
        """Return a refusal in the native form."""
        body: dict[str, Any] = {"message": message, "type": kind, "param": None, "code": kind}
        if self.slug == "mistral-ai":
            return json_reply({"object": "error", **body}, status, headers)
        if self.slug in ("openrouter", "perplexity-ai"):
            return json_reply({"error": {"message": message, "type": kind, "code": status}}, status, headers)
        if self.slug == "x-ai":
            return json_reply({"code": kind, "error": message}, status, headers)
        return json_reply({"error": body}, status, headers)


def parse(reply: Reply) -> Any:
    """Return the JSON of a reply in one piece."""
    return json.loads(b"".join(piece for piece in reply.pieces if isinstance(piece, bytes)))


_AWS = {
    "x-portkey-aws-access-key-id": "AKIDEXAMPLE",
    "x-portkey-aws-secret-access-key": "secret",
    "x-portkey-aws-region": "us-east-1",
}
_AZURE = {
    "x-portkey-azure-resource-name": "resource",
    "x-portkey-azure-deployment-id": "gpt-4o",
    "x-portkey-azure-api-version": "2024-10-21",
}
_VERTEX = {"x-portkey-vertex-project-id": "project", "x-portkey-vertex-region": "us-central1"}

OPENAI = OpenAILike("openai", "openai", "gpt-4o")
AZURE = OpenAILike("azure-openai", "azure-openai", "gpt-4o", _AZURE)
ANTHROPIC = Anthropic("anthropic", "anthropic", anthropic.MODEL)
GOOGLE = Google("google", "google", google.MODEL, path="/v1beta")
VERTEX = Google("vertex-ai", "vertex-ai", google.MODEL, _VERTEX)
VERTEX_CLAUDE = Anthropic("vertex-ai-claude", "vertex-ai", f"anthropic.{anthropic.MODEL}", _VERTEX)
BEDROCK = Bedrock("bedrock", "bedrock", bedrock.MODEL, _AWS, path="")
COHERE = Cohere("cohere", "cohere", cohere.MODEL, path="/v2")
MISTRAL = OpenAILike(
    "mistral-ai", "mistral-ai", "magistral-medium-latest", reasoning="content", whole_calls=True, usage_on="finish"
)
DEEPSEEK = OpenAILike("deepseek", "deepseek", "deepseek-reasoner", usage_on="finish", path="")
GROQ = OpenAILike("groq", "groq", "openai/gpt-oss-120b", reasoning="reasoning", whole_calls=True, usage_on="x_groq")
OLLAMA = OpenAILike("ollama", "ollama", "qwen3", reasoning="reasoning", whole_calls=True)
OPENROUTER = OpenAILike(
    "openrouter", "openrouter", "anthropic/claude-sonnet-4.5", reasoning="reasoning", usage_on="empty"
)
PERPLEXITY = OpenAILike(
    "perplexity-ai", "perplexity-ai", "sonar-pro", usage_on="finish", newline="\r\n\r\n", done=False
)
TOGETHER = OpenAILike("together-ai", "together-ai", "openai/gpt-oss-120b", reasoning="reasoning", usage_on="finish")
FIREWORKS = OpenAILike("fireworks-ai", "fireworks-ai", "accounts/fireworks/models/deepseek-r1", usage_on="finish")
XAI = OpenAILike("x-ai", "x-ai", "grok-4")

ALL: tuple[Provider, ...] = (
    OPENAI, AZURE, ANTHROPIC, GOOGLE, VERTEX, VERTEX_CLAUDE, BEDROCK, COHERE, MISTRAL, DEEPSEEK, GROQ, OLLAMA,
    OPENROUTER, PERPLEXITY, TOGETHER, FIREWORKS, XAI,
)  # fmt: skip
