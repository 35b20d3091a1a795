"""What each family of upstreams wants where the gateway passes the body on as it is, or drops what it does not know.

The gateway speaks one wire to its clients, but its translation differs by provider: the same document is a part for
one, is dropped for another and breaks the request for a third. One row a dialect; `README.md` shows the same table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from pydantic_core import from_json

from ._errors import PortkeyConfigError

T = TypeVar("T")


@dataclass(frozen=True)
class Dialect:
    """How one family of upstreams wants a request.

    Attributes:
        name: Name of the family, as `PortkeyConfig.upstream` takes it.
        reasoning: Where the model's own reasoning goes back: in ``content_blocks`` with its signature (Claude), in
            ``reasoning_content`` or ``reasoning`` beside the text, or not at all.
        redacted: Whether redacted reasoning goes back as well.
        thought_signatures: Whether a tool call carries the signature of the thought that led to it (Gemini).
        caching: ``cache_control`` on blocks, one ``prompt_cache_key``, the provider's own doing, or None.
        documents: A PDF as a ``file`` with a data URL, a ``file`` with bare base64, an ``image_url`` or a
            ``document_url`` with a data URL, or not at all.
        images: Whether images can be sent.
        image_locations: URL schemes that an image may be given by.
        tool_result_images: Whether a tool's result may hold images and documents, in Anthropic's form. Otherwise
            they move to a following user message.
        audio: As ``input_audio``, as a data URL in ``image_url``, or not at all.
        video: As a data URL in ``image_url``, or not at all.
        tool_result_names: Whether a tool's result must name its tool.
        text_beside_calls: Whether text in a message with tool calls survives. Otherwise it goes ahead in its own.
        max_tokens: Sent where the user gives none, since the upstream requires it and the gateway has no default.
        usage: Whether a stream reports its tokens only if OpenRouter's own parameter asks for them.
        schema: Whether ``response_format`` with a JSON schema reaches the upstream.
        tools: Whether ``tools`` do.
        tool_choice: Whether ``tool_choice`` does.
    """

    name: str
    reasoning: Literal["content_blocks", "reasoning_content", "reasoning"] | None = None
    redacted: bool = False
    thought_signatures: bool = False
    caching: Literal["cache_control", "prompt_cache_key", "automatic"] | None = "automatic"
    documents: Literal["file", "base64", "image_url", "document_url"] | None = None
    images: bool = True
    image_locations: tuple[str, ...] = ("http", "https")
    tool_result_images: bool = False
    audio: Literal["input_audio", "image_url"] | None = None
    video: Literal["image_url"] | None = None
    tool_result_names: bool = False
    text_beside_calls: bool = True
    max_tokens: int | None = None
    usage: bool = False
    schema: bool = True
    tools: bool = True
    tool_choice: bool = True


OPENAI: Final = Dialect(
    "openai", caching="prompt_cache_key", documents="file", audio="input_audio"
)
_ANTHROPIC: Final = Dialect(
    "anthropic",
    reasoning="content_blocks",
    redacted=True,
    caching="cache_control",
    documents="base64",
    image_locations=("https",),
    tool_result_images=True,
    max_tokens=4096,
    schema=False,
)
_GEMINI: Final = Dialect(
    "gemini",
    thought_signatures=True,
    documents="image_url",
    image_locations=("http", "https", "gs"),
    audio="image_url",
    video="image_url",
    tool_result_names=True,
    text_beside_calls=False,
)
DIALECTS: Final[Mapping[str, Dialect]] = {
    dialect.name: dialect
    for dialect in (
        OPENAI,
        _ANTHROPIC,
        _GEMINI,
        Dialect(
            "bedrock",
            reasoning="content_blocks",
            caching="cache_control",
            documents="base64",
            image_locations=(),
            schema=False,
        ),
        Dialect("mistral", documents="document_url", schema=False),
        Dialect("cohere", caching=None),
        Dialect("deepseek", reasoning="reasoning_content", images=False, tools=False, tool_choice=False),
        Dialect("groq"),
        Dialect("openrouter", reasoning="reasoning", caching="cache_control", documents="file", usage=True),
        Dialect("ollama", caching=None, image_locations=(), tool_choice=False),
        Dialect("fireworks", tool_choice=False),
        Dialect("perplexity", tools=False, tool_choice=False),
    )
}

# The gateway's providers by dialect, where the name is not the dialect's own; all others speak OpenAI's.
_PROVIDERS: Final = {
    "google": "gemini",
    "vertex-ai": "gemini",
    "mistral-ai": "mistral",
    "fireworks-ai": "fireworks",
    "perplexity-ai": "perplexity",
}
# How model ids begin, after the slug and Bedrock's region.
_MODELS: Final = {
    "claude-": "anthropic",
    "gemini-": "gemini",
    "mistral-": "mistral",
    "deepseek-": "deepseek",
    "command-": "cohere",
    "sonar": "perplexity",
    "anthropic.": "bedrock",
    "amazon.": "bedrock",
    "meta.": "bedrock",
    "arn:aws:bedrock:": "bedrock",
}
_REGION: Final = re.compile(r"^(us|eu|apac|global|us-gov|jp|au)\.(?=[a-z0-9]+\.)")


def find_dialect(upstream: str | None, routing: Mapping[str, object], model_id: str) -> Dialect:
    """Return the dialect of what answers behind the gateway.

    The first that tells decides: `upstream`; the providers of an inline config; `provider`; the slug of the model's
    id; how the id begins. Otherwise it is OpenAI's. Where a config has providers of several dialects, the request
    keeps to what all of them take.

    Args:
        upstream: `PortkeyConfig.upstream`.
        routing: Routing keys of `ClientArgs`.
        model_id: The model's id.

    Raises:
        PortkeyConfigError: If `upstream` names no dialect and no provider.
    """
    if upstream is not None:
        return _named(upstream)
    provider = routing.get("provider")
    named = {_by_provider(name, model) for name, model in _targets(routing.get("config"), model_id)}
    if not named and isinstance(provider, str):
        named = {_by_provider(provider, model_id)}
    return _common(sorted(named, key=lambda dialect: dialect.name)) if named else _by_model(model_id)


def _named(upstream: str) -> Dialect:
    name = _PROVIDERS.get(upstream, upstream)
    if name not in DIALECTS:
        known = sorted(DIALECTS.keys() | _PROVIDERS.keys())
        raise PortkeyConfigError(f"upstream is {upstream!r}; known are {known}. Servers that copy OpenAI are 'openai'")
    return DIALECTS[name]


def _targets(config: object, model_id: str) -> Iterator[tuple[str, str]]:
    """Yield provider and model id of each target of an inline config, nested ones included."""
    if isinstance(config, str):
        try:
            config = from_json(config)
        except ValueError:
            return  # The id of a saved config, of which nothing is known here.
    if not isinstance(config, Mapping):
        return
    override = config.get("override_params")
    model = override.get("model") if isinstance(override, Mapping) else None
    model_id = model if isinstance(model, str) else model_id
    if isinstance(provider := config.get("provider"), str):
        yield provider, model_id
    if isinstance(targets := config.get("targets"), Sequence):
        for target in targets:
            yield from _targets(target, model_id)


def _by_provider(provider: str, model_id: str) -> Dialect:
    if provider.startswith("@"):
        return _by_slug(provider.removeprefix("@"), model_id) or _by_model(model_id)
    if provider == "vertex-ai" and model_id.rpartition("/")[2].removeprefix("anthropic.").startswith("claude-"):
        return _ANTHROPIC
    return DIALECTS.get(_PROVIDERS.get(provider, provider), OPENAI)


def _by_slug(slug: str, model_id: str) -> Dialect | None:
    """Return the dialect of a slug that begins with a provider's name, such as ``anthropic-prod``."""
    for name in sorted({*DIALECTS, *_PROVIDERS}, key=len, reverse=True):
        if slug == name or slug.startswith((f"{name}-", f"{name}_")):
            return _by_provider(name, model_id)
    return None


def _by_model(model_id: str) -> Dialect:
    if model_id.startswith("@"):
        slug, _, model_id = model_id.removeprefix("@").partition("/")
        if dialect := _by_slug(slug, model_id):
            return dialect
    model = _REGION.sub("", model_id)
    return next((DIALECTS[name] for start, name in _MODELS.items() if model.startswith(start)), OPENAI)


def _common(dialects: Sequence[Dialect]) -> Dialect:
    """Return what all of some dialects take; what one must have, all get."""
    if len(dialects) == 1:
        return dialects[0]
    return Dialect(
        name=" + ".join(dialect.name for dialect in dialects),
        reasoning=_same(dialect.reasoning for dialect in dialects),
        redacted=all(dialect.redacted for dialect in dialects),
        thought_signatures=all(dialect.thought_signatures for dialect in dialects),
        caching=_same(dialect.caching for dialect in dialects),
        documents=_same(dialect.documents for dialect in dialects),
        images=all(dialect.images for dialect in dialects),
        image_locations=tuple(
            scheme for scheme in dialects[0].image_locations if all(scheme in each.image_locations for each in dialects)
        ),
        tool_result_images=all(dialect.tool_result_images for dialect in dialects),
        audio=_same(dialect.audio for dialect in dialects),
        video=_same(dialect.video for dialect in dialects),
        tool_result_names=any(dialect.tool_result_names for dialect in dialects),
        text_beside_calls=all(dialect.text_beside_calls for dialect in dialects),
        max_tokens=max((dialect.max_tokens for dialect in dialects if dialect.max_tokens), default=None),
        usage=any(dialect.usage for dialect in dialects),
        schema=all(dialect.schema for dialect in dialects),
        tools=all(dialect.tools for dialect in dialects),
        tool_choice=all(dialect.tool_choice for dialect in dialects),
    )


def _same(values: Iterable[T | None]) -> T | None:
    different = set(values)
    return different.pop() if len(different) == 1 else None
