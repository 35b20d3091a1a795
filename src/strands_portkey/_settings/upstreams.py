"""Names of the upstreams that may answer a request, derived from the settings and the model's id."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from hashlib import blake2b
from typing import Annotated, Final

from pydantic import AliasChoices, ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from strands_portkey._errors import PortkeyConfigError
from strands_portkey._json import is_mapping

UNKNOWN: Final = "unknown"
"""Name of an upstream that cannot be determined."""

_OWN_NAMES: Final = (
    *("anthropic", "bedrock", "cohere", "deepseek", "fireworks", "gemini", "groq", "mistral", "ollama"),
    *("openai", "openrouter", "perplexity"),
)
FAMILIES: Final[Mapping[str, str]] = {
    **{name: name for name in _OWN_NAMES},
    "google": "gemini",
    "vertex-ai": "gemini",
    "mistral-ai": "mistral",
    "fireworks-ai": "fireworks",
    "perplexity-ai": "perplexity",
}
"""Families of upstreams, by their own names and by the gateway's provider names."""

# Those whose API has a place of its own for a model's reasoning.
_WITH_REASONING: Final = frozenset(
    {
        *("anthropic", "azure-openai", "bedrock", "cohere", "deepseek", "gemini", "huggingface", "mistral", "openai"),
        *("openrouter", "x-ai"),
    }
)
_LONGEST_FIRST: Final = sorted(FAMILIES, key=len, reverse=True)
# Prefixes of model ids, after the slug and Bedrock's region.
_MODEL_FAMILIES: Final = {
    "claude-": "anthropic",
    "gemini-": "gemini",
    "deepseek-": "deepseek",
    "command-": "cohere",
    "sonar": "perplexity",
    "arn:aws:bedrock:": "bedrock",
    **dict.fromkeys(("mistral-", "ministral-", "magistral-", "open-mistral-", "open-mixtral-"), "mistral"),
    **dict.fromkeys(("codestral-", "devstral-", "pixtral-"), "mistral"),
    **dict.fromkeys(("ai21.", "amazon.", "anthropic.", "cohere.", "deepseek."), "bedrock"),
    **dict.fromkeys(("meta.", "mistral.", "openai.", "qwen."), "bedrock"),
}
_PROVIDER: Final = re.compile("[a-z0-9-]{1,40}")
_REGION: Final = re.compile(r"^(us|eu|apac|global|us-gov|jp|au)\.(?=[a-z0-9]+\.)")


@with_config(ConfigDict(extra="allow"))
class _Override(TypedDict, total=False):
    model: str | None


class _Target(TypedDict, total=False):
    """The fields of a config or one of its targets that determine the upstream; the gateway reads both spellings."""

    provider: str | None
    virtual_key: Annotated[str | None, Field(validation_alias=AliasChoices("virtual_key", "virtualKey"))]
    custom_host: Annotated[str | None, Field(validation_alias=AliasChoices("custom_host", "customHost"))]
    override_params: Annotated[
        _Override | None, Field(validation_alias=AliasChoices("override_params", "overrideParams"))
    ]
    targets: list[_Target] | None


_TARGET: Final = TypeAdapter(_Target)
# Names of settings and of keys in a config that ask for guardrails, which may also change a text.
_HOOKS: Final = re.compile(r"(?i)(?:guardrails|mutators|request[-_]?hooks)$")
_HOOKS_IN_JSON: Final = re.compile(
    r'(?i)(?:guardrails|mutators|request_?hooks)"\s*:\s*(?!\s|\[\s*\]|\{\s*\}|""|null|false)'
)
_LITERAL: Final = {
    f"x-portkey-{name.replace('_', '-')}": name for name in ("provider", "config", "custom_host", "virtual_key")
}
# Where OpenAI's models are served by OpenAI or by Azure.
_OPENAI_HOST: Final = re.compile(
    r"(?i)https?://(?:[a-z0-9-]+\.)*"
    r"(?:openai\.com|(?:openai|cognitiveservices|services\.ai)\.azure\.(?:com|us|cn)|azure-api\.(?:net|us|cn))"
    r"(?:[:/?#]|$)"
)

Route = tuple[str | None, ...]
"""What decides who answers: the model's id, and the settings for config, virtual key and provider."""


def find_upstreams(
    upstream: str | None, routing: Mapping[str, object], model_id: str, learned: Collection[str] = ()
) -> frozenset[str]:
    """Return the names of the upstreams that may answer: families, the gateway's other provider names, or `UNKNOWN`.

    The first of these that is known decides: `upstream`; the providers of an inline config; `provider`; those that
    earlier answers have named; the slug of the model's id; the prefix of the id. A literal header for config or
    provider takes precedence over the setting.

    Args:
        upstream: The setting of this name.
        routing: The settings that become headers.
        model_id: The model that is asked for.
        learned: Names of upstreams that have answered by this routing, as `name_upstream` gives them.

    Raises:
        PortkeyConfigError: If `upstream` is not the name of a family or of one of its providers.
    """
    if upstream is not None:
        return frozenset({_named(upstream)})
    targets, is_saved = _find_targets(routing, model_id)
    names: set[str] = set()
    for target, model in targets:
        is_stated = target is not None and not target.startswith("@") and not is_saved
        names.update(learned if learned and not is_stated else {_suggested(target, model)})
    return frozenset(names)


def find_targets(
    upstream: str | None, routing: Mapping[str, object], model_id: str, learned: Collection[str] = ()
) -> frozenset[tuple[str, str]]:
    """Return the name of each upstream that may answer, where it is certain, and the model that it is asked for.

    Other than for `find_upstreams` a name is `UNKNOWN` where a saved config decides, or only the model's id suggests
    one; and a provider that the settings state takes precedence over `upstream`.
    """
    targets, is_saved = _find_targets(routing, model_id)
    known = (_named(upstream),) if upstream is not None else learned
    found: set[tuple[str, str]] = set()
    for target, model in targets:
        if is_saved:
            names: Collection[str] = (UNKNOWN,)
        elif target is not None and not target.startswith("@"):
            names = (name_upstream(target, model),)
        else:
            slug = target.removeprefix("@") if target else _slug_of(model)
            names = known or (_of_slug(slug, model) or UNKNOWN,)
        found.update((name, model) for name in names)
    return frozenset(found)


def asks_for_guardrails(routing: Mapping[str, object]) -> bool:
    """Whether the settings, or the config among them, have the gateway check or change what is sent or answered."""
    settings = _with_literal(routing)
    headers = settings.get("headers")
    names = [name for each in (settings, headers) if is_mapping(each) for name, value in each.items() if value]
    if any(isinstance(name, str) and _HOOKS.search(name) for name in names):
        return True
    config = settings.get("config")
    with suppress(ValueError, RecursionError):  # It contains itself, and cannot be sent.
        text = config if isinstance(config, str) else json.dumps(config, default=repr, skipkeys=True)
        return bool(_HOOKS_IN_JSON.search(text))
    return False


def overridden_params(routing: Mapping[str, object]) -> frozenset[str]:
    """Return the names of the parameters that the config, or one of its targets, sets in a body."""
    return frozenset(_overridden(_to_config(_with_literal(routing).get("config"))))


def _overridden(config: _Target) -> Iterator[str]:
    yield from config.get("override_params") or ()
    for target in config.get("targets") or ():
        yield from _overridden(target)


def _find_targets(routing: Mapping[str, object], model_id: str) -> tuple[Iterator[tuple[str | None, str]], bool]:
    """Return provider and model of each target, and whether a saved config decides between others in truth."""
    settings = _with_literal(routing)
    given = settings.get("config")
    provider = settings.get("provider")
    provider = provider.strip() if isinstance(provider, str) else None
    if key := settings.get("virtual_key"):
        provider = provider or f"@{key}"
    config = _to_config(given)
    # It takes precedence over the provider, and is not known. Blank text is not sent, and JSON is no id.
    is_saved = isinstance(given, str) and given.lstrip()[:1] not in ("", "{", "[")
    return _targets(config, provider, model_id), is_saved


def may_have_thinking_tags(upstreams: Collection[str], routing: Mapping[str, object]) -> bool:
    """Whether an answer may begin with reasoning in tags, as of models whose server has no parser for it.

    Args:
        upstreams: The gateway's names of those who may answer.
        routing: The settings that become headers.
    """
    return may_be_copy(upstreams, routing) or not _WITH_REASONING.issuperset(upstreams)


def may_be_copy(upstreams: Collection[str], routing: Mapping[str, object]) -> bool:
    """Whether a server may answer that copies OpenAI, which goes by that name and has an address of its own.

    Args:
        upstreams: The gateway's names of those who may answer.
        routing: The settings that become headers.
    """
    if "openai" not in upstreams:
        return False
    settings = _with_literal(routing)
    host, config = settings.get("custom_host"), settings.get("config")  # The first takes precedence.
    hosts = [host] if host else [] if config is None else _hosts(_to_config(config))
    return any(host and not _OPENAI_HOST.match(str(host)) for host in hosts)


def _hosts(config: _Target) -> Iterator[str]:
    yield config.get("custom_host") or ""
    for target in config.get("targets") or ():
        yield from _hosts(target)


def to_route(routing: Mapping[str, object], model_id: str) -> Route:
    """Return what decides who answers, as far as it can be known."""
    settings = _with_literal(routing)
    config, key, provider = settings.get("config"), settings.get("virtual_key"), settings.get("provider")
    return (model_id, _digest(config), _digest(key), _digest(provider))


def _digest(value: object) -> str | None:
    """Return what tells a setting from others: its repr does not, since it masks keys, and its text would show them."""
    if value is None or isinstance(value, str):
        return value
    with suppress(ValueError, RecursionError):
        return blake2b(json.dumps(value, default=repr, skipkeys=True).encode(), digest_size=16).hexdigest()
    return ""  # It contains itself, and cannot be sent.


def _named(upstream: str) -> str:
    if upstream not in FAMILIES:
        # Without the name, which may be a misplaced key.
        known = ", ".join(sorted(FAMILIES))
        hint = "servers that copy OpenAI are openai"
        raise PortkeyConfigError(f"upstream must be one of {known} ({hint}); got another name")
    return FAMILIES[upstream]


def _with_literal(routing: Mapping[str, object]) -> Mapping[str, object]:
    """Return the routing settings with those among literal headers; headers from a function are not known yet."""
    headers = routing.get("headers")
    if headers is None or not is_mapping(headers):
        return routing
    given = {name.lower(): text for name, text in headers.items() if isinstance(name, str) and isinstance(text, str)}
    return {**routing, **{_LITERAL[name]: text for name, text in given.items() if name in _LITERAL}}


def _to_config(config: object) -> _Target:
    """Return an inline config; the content of a saved config is not known."""
    try:
        if isinstance(config, str):
            return _TARGET.validate_json(config)
        return {} if config is None else _TARGET.validate_python(config)
    except ValidationError:
        return {}


def _targets(config: _Target, provider: str | None, model_id: str) -> Iterator[tuple[str | None, str]]:
    """Yield provider and model of each target of a config, nested ones included."""
    model_id = (config.get("override_params") or {}).get("model") or model_id
    if key := config.get("virtual_key"):
        provider = f"@{key}"  # The user chooses its name, which often begins with the provider's.
    provider = config.get("provider") or provider
    targets = config.get("targets")
    if not targets:
        yield provider or None, model_id
    for target in targets or ():
        yield from _targets(target, None, model_id)


def _suggested(provider: str | None, model_id: str) -> str:
    """Return the upstream that a provider, or its slug, and the model's id suggest."""
    if provider is None:
        return _of_model(model_id)
    if provider.startswith("@"):
        return _of_slug(provider.removeprefix("@"), model_id) or _of_model(model_id)
    return name_upstream(provider, model_id)


def name_upstream(provider: str, model_id: str) -> str:
    """Return the name of an upstream by the gateway's name of its provider and the model that it has."""
    if provider == "vertex-ai" and model_id.rpartition("/")[2].removeprefix("anthropic.").startswith("claude-"):
        return "anthropic"
    return FAMILIES.get(provider, provider)


def answering_upstream(provider: str | None, model_id: str) -> str | None:
    """Return the name of the upstream that an answer names as its provider; None where it does not name a single one.

    Two gateways in a row name both, and a slug or a masked key would be taken for a provider that is like OpenAI.
    """
    return name_upstream(provider, model_id) if provider and _PROVIDER.fullmatch(provider) else None


def _of_slug(slug: str, model_id: str) -> str | None:
    """Return the upstream of a slug that begins with a provider's name, such as ``anthropic-prod``."""
    for name in _LONGEST_FIRST:
        if slug == name or slug.startswith((f"{name}-", f"{name}_")):
            return name_upstream(name, model_id)
    return None


def _slug_of(model_id: str) -> str:
    """Return the slug of a model's id, such as ``team`` of ``@team/gpt-5``; an empty text where it has none."""
    return model_id.removeprefix("@").partition("/")[0] if model_id.startswith("@") else ""


def _of_model(model_id: str) -> str:
    if slug := _slug_of(model_id):
        model_id = model_id.partition("/")[2]
        if name := _of_slug(slug, model_id):
            return name
    model = _REGION.sub("", model_id)
    return next((family for start, family in _MODEL_FAMILIES.items() if model.startswith(start)), UNKNOWN)
