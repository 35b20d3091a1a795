"""Table of the differences between upstreams that the gateway does not translate.

The gateway has one protocol for its clients, but translates it differently for each provider: the same document may
be sent, dropped, or make the request fail. Each dialect is one row; `.github/docs/dialects.md` shows the same table.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from pydantic import JsonValue

from strands_portkey._request.anthropic import CLAUDE_IDS, MAX_TOKENS, thinks
from strands_portkey._request.caching import CacheKind
from strands_portkey._request.schemas import Mechanism
from strands_portkey._settings.upstreams import UNKNOWN


@dataclass(frozen=True)
class Dialect:
    """The form of requests that one family of upstreams requires.

    Attributes:
        name: Name of the family, a value of `PortkeyConfig.upstream`.
        reasoning: The field that returns the model's own reasoning: ``content_blocks`` with its signature (Claude), in
            ``reasoning_content`` or ``reasoning`` beside the text, or None.
        reasoning_required: Whether each message of the model must have ``reasoning_content``, blank if it had none.
        redacted: Whether redacted reasoning is returned as well.
        thought_signatures: Whether a tool call includes the signature of the reasoning before it (Gemini).
        caching: ``cache_control`` on blocks, one ``prompt_cache_key``, automatic by the provider, or None.
        documents: A PDF as a ``file`` with a data URL, a ``file`` with bare base64, an ``image_url`` or a
            ``document_url`` with a data URL, or not at all. Only an ``image_url`` keeps its cache mark for Claude.
        images: Whether images can be sent.
        gifs: Whether an image may be a GIF, which the gateway hands to Bedrock as a document.
        image_locations: Allowed schemes of image URLs.
        tool_result_images: Whether a tool's result may contain images and documents, in Anthropic's form. Otherwise
            they are moved to the following user message.
        audio: As ``input_audio``, as a data URL in ``image_url``, or not at all.
        video: As a data URL in ``image_url``, or not at all.
        tool_result_names: Whether a tool's result must name its tool.
        text_beside_calls: Whether text in a message with tool calls is kept. Otherwise it is sent in a message before.
        max_tokens: The default if the user gives none, since the upstream requires it and the gateway has no default.
        usage: Whether a stream reports token counts only with OpenRouter's parameter ``usage``.
        schema: Whether ``response_format`` accepts a ``json_schema``; or only ``json_object``, so that the schema is
            sent in the system prompt; or None if it is dropped or refused.
        tools: Whether ``tools`` are supported.
        tool_choice: Whether ``tool_choice`` is supported.
        marked_calls: Whether a past call may have a cache mark.
        calls: Whether past calls and results are supported. Otherwise they are sent as text: the gateway drops the
            ids of Cohere's.
        call_ids: Regular expression for the ids of calls; ids that do not match are replaced.
        tools_with_calls: Whether a conversation with calls must have ``tools``.
        gemini_schemas: Whether a tool's schema may only use the keywords of Gemini's ``Schema``.
        user_after_results: Whether a user message may follow results directly. Otherwise one of the model is
            inserted.
        user_first: Whether a conversation must begin with the user.
        alternating: Whether the user and the model must take turns. Otherwise several messages of one may follow.
        parts: Whether content may be a list of parts. Otherwise it is one text.
        text_beside_documents: Whether a message with a document must contain a text.
        result_points: Whether a cache point after a result becomes a mark ``inside`` the result or a part ``behind``
            it; None if it is dropped.
        verbatim_ttl: Whether marks on calls, results and the model's messages, which the gateway passes on unchanged,
            keep their time to live. The gateway removes it from all other marks, and Claude refuses a longer time
            after a shorter one.
    """

    name: str
    reasoning: Literal["content_blocks", "reasoning_content", "reasoning"] | None = None
    reasoning_required: bool = False
    redacted: bool = False
    thought_signatures: bool = False
    caching: CacheKind | None = "automatic"
    documents: Literal["file", "base64", "image_url", "document_url"] | None = None
    images: bool = True
    gifs: bool = True
    image_locations: tuple[str, ...] = ("http", "https")
    tool_result_images: bool = False
    audio: Literal["input_audio", "image_url"] | None = None
    video: Literal["image_url"] | None = None
    tool_result_names: bool = False
    text_beside_calls: bool = True
    max_tokens: int | None = None
    usage: bool = False
    schema: Literal["json_schema", "json_object"] | None = "json_schema"
    tools: bool = True
    tool_choice: bool = True
    calls: bool = True
    marked_calls: bool = True
    call_ids: str | None = None
    tools_with_calls: bool = False
    gemini_schemas: bool = False
    user_after_results: bool = True
    user_first: bool = False
    alternating: bool = False
    parts: bool = True
    text_beside_documents: bool = False
    result_points: Literal["inside", "behind"] | None = "inside"
    verbatim_ttl: bool = True


_MISTRAL_IDS: Final = r"[a-zA-Z0-9]{9}"
_OPENAI_IDS: Final = r"[\s\S]{1,40}"  # The gateway's own ids, which it makes for Gemini, have 44.
_OPENAI_AND_CLAUDE_IDS: Final = r"[a-zA-Z0-9_-]{1,40}"


OPENAI: Final = Dialect(
    "openai", caching="prompt_cache_key", documents="file", audio="input_audio", call_ids=_OPENAI_IDS
)
_ANTHROPIC: Final = Dialect(
    "anthropic",
    reasoning="content_blocks",
    redacted=True,
    caching="cache_control",
    documents="image_url",
    image_locations=("https",),
    tool_result_images=True,
    max_tokens=MAX_TOKENS,
    schema=None,
    call_ids=CLAUDE_IDS,
    verbatim_ttl=False,
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
    gemini_schemas=True,
    user_first=True,
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
            gifs=False,
            image_locations=(),
            schema=None,
            call_ids=CLAUDE_IDS,
            tools_with_calls=True,
            user_first=True,
            alternating=True,
            text_beside_documents=True,
            result_points="behind",
        ),
        Dialect(
            "mistral",
            documents="document_url",
            schema=None,
            call_ids=_MISTRAL_IDS,
            user_after_results=False,
            user_first=True,
        ),
        Dialect("cohere", caching=None, schema=None, calls=False),
        Dialect(
            "deepseek",
            reasoning="reasoning_content",
            images=False,
            schema="json_object",
            tools=False,
            tool_choice=False,
            parts=False,
        ),
        Dialect("groq"),
        Dialect(
            "openrouter",
            reasoning="reasoning",
            caching="cache_control",
            documents="file",
            usage=True,
            marked_calls=False,
        ),
        Dialect("ollama", caching=None, image_locations=(), tool_choice=False),
        Dialect("fireworks", tool_choice=False),
        Dialect("perplexity", tools=False, tool_choice=False, user_first=True, alternating=True),
    )
}

# Providers besides these whose tools the gateway drops.
_WITHOUT_TOOLS: Final = frozenset(
    {
        *("302ai", "ai21", "bytez", "deepinfra", "lemonfox-ai", "lingyi", "monsterapi", "moonshot", "ncompass"),
        *("nscale", "palm", "predibase", "reka-ai", "sambanova", "siliconflow", "workers-ai", "zhipu"),
    }
)

# The values that all upstreams accept, for requests whose targets have different dialects.
_LEAST: Final = vars(
    Dialect(
        name="",
        caching=None,
        images=False,
        gifs=False,
        tool_result_names=True,
        text_beside_calls=False,
        max_tokens=_ANTHROPIC.max_tokens,
        usage=True,
        schema=None,
        tools=False,
        tool_choice=False,
        calls=False,
        marked_calls=False,
        call_ids=_MISTRAL_IDS,
        tools_with_calls=True,
        gemini_schemas=True,
        user_after_results=False,
        user_first=True,
        alternating=True,
        parts=False,
        text_beside_documents=True,
        result_points=None,
        verbatim_ttl=False,
    )
)


def find_dialect(upstreams: Collection[str], providers: Collection[str] = ()) -> Dialect:
    """Return the dialect for the upstreams that may answer: see `find_upstreams`.

    An upstream that is unknown or in no family has OpenAI's dialect. For upstreams with different dialects the result
    only has what all of them accept. What the gateway does with tools is decided by its names of the providers, where
    they are others.
    """
    dialects = {_dialect_of(name) for name in upstreams} or {OPENAI}
    dialect = _common(sorted(dialects, key=lambda dialect: dialect.name))
    if not providers or UNKNOWN in providers:
        return dialect
    given = [_dialect_of(name) for name in providers]
    return replace(
        dialect, tools=all(each.tools for each in given), tool_choice=all(each.tool_choice for each in given)
    )


def _dialect_of(upstream: str) -> Dialect:
    dialect = DIALECTS.get(upstream, OPENAI)
    return replace(dialect, name=upstream, tools=False, tool_choice=False) if upstream in _WITHOUT_TOOLS else dialect


def find_mechanisms(dialect: Dialect, params: Mapping[str, JsonValue]) -> list[Mechanism]:
    """Return the mechanisms that may work, the strictest first."""
    mechanisms: list[Mechanism] = ["schema"] if dialect.schema else []
    if dialect.tools and dialect.tool_choice and not thinks(params):  # DeepSeek refuses it too.
        mechanisms.append("forced")
    return [*mechanisms, "auto"]


def _common(dialects: Sequence[Dialect]) -> Dialect:
    """Return a dialect with what all given ones accept and what any of them requires."""
    first, *others = dialects
    if not others:
        return first
    differing = {name for name in _LEAST if len({getattr(dialect, name) for dialect in dialects}) > 1}
    schemes = [scheme for scheme in first.image_locations if all(scheme in each.image_locations for each in others)]
    common = {name: _LEAST[name] for name in differing} | {
        "name": " + ".join(dialect.name for dialect in dialects),
        "image_locations": tuple(schemes),
    }
    # If a single pattern occurs, ids that match it are valid for all.
    if len(ids := {dialect.call_ids for dialect in dialects} - {None}) == 1:
        common["call_ids"] = ids.pop()
    elif ids == {_OPENAI_IDS, CLAUDE_IDS}:
        common["call_ids"] = _OPENAI_AND_CLAUDE_IDS
    # Only OpenAI accepts a cache key, and it also caches without one.
    if {dialect.caching for dialect in dialects} == {"automatic", "prompt_cache_key"}:
        common["caching"] = "automatic"
    return replace(first, **common)
