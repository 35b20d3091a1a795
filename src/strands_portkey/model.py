"""The model provider: joins the parts of this package and decides nothing itself."""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from random import random
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast
from urllib.parse import quote

from pydantic import BaseModel, JsonValue
from strands.event_loop.streaming import process_stream
from strands.models.model import Model
from strands.types.content import Message, Messages, SystemContentBlock
from strands.types.streaming import StreamEvent
from strands.types.tools import ToolChoice, ToolChoiceToolDict, ToolSpec
from typing_extensions import Self, Unpack, override

from strands_portkey._answer.judgement import Judge
from strands_portkey._answer.metadata import ResponseMetadata, response_metadata
from strands_portkey._answer.output import to_output
from strands_portkey._answer.quoting import LONGEST_QUOTE
from strands_portkey._answer.translator import Translator
from strands_portkey._attempts import (
    Call,
    Plan,
    first_plan,
    next_part,
    next_plan,
    place,
    remember,
    to_headers,
    to_request,
)
from strands_portkey._endpoints import read_count, read_models, read_prompt, to_feedback
from strands_portkey._errors import (
    PortkeyAPIError,
    PortkeyConfigError,
    PortkeyError,
    PortkeyGuardrailError,
    PortkeyTimeoutError,
)
from strands_portkey._http.cancellation import RequestCancelledError, Watch
from strands_portkey._http.client import AsyncClient, GatewayClient, Request, StaleConnectionError
from strands_portkey._http.response import GatewayResponse
from strands_portkey._json import Body, dump_body
from strands_portkey._learned import Learned
from strands_portkey._request.pairs import in_pairs
from strands_portkey._request.question import Question, to_question
from strands_portkey._request.schemas import to_tool_spec
from strands_portkey._settings.checks import check_model_config, known_config, with_model_id
from strands_portkey._settings.config import ClientArgs, PortkeyConfig, PortkeyConfigUpdate, UnknownKey
from strands_portkey._settings.context_window import find_context_window_limit
from strands_portkey._settings.endpoint import split_client_args
from strands_portkey._settings.headers import request_headers
from strands_portkey._settings.invocation import for_call
from strands_portkey._settings.secrets import masked
from strands_portkey._settings.upstreams import answering_upstream, find_upstreams
from strands_portkey._tracing import describe_further, describe_response, trace_headers
from strands_portkey._wires.messages.body import to_count_body

if TYPE_CHECKING:
    from strands.agent.agent_metadata import AgentMetadata

logger: Final = logging.getLogger(__name__)

T = TypeVar("T", bound=BaseModel)
Result = TypeVar("Result")


@dataclass(repr=False)
class _Exchange:
    """The answer to one request, while and after it is read. Its parts may hold keys, so it does not represent itself.

    Attributes:
        translator: What reads it.
        response: What it is read from.
        metadata: What the gateway reports about it, once it has ended.
        failure: The error that has ended it.
    """

    translator: Translator
    response: GatewayResponse
    metadata: ResponseMetadata | None = None
    failure: PortkeyError | None = None


OnResponse = Callable[[ResponseMetadata], Awaitable[None] | None]
"""What is called with the gateway's facts about a request."""


class PortkeyModel(Model):
    """Any model behind a Portkey gateway, as a Strands model provider.

    One object serves any number of agents, threads and event loops at the same time. Making one checks the settings;
    nothing is sent and nothing is opened.

    Args:
        client_args: How to reach the gateway and how it routes: see `ClientArgs`.
        http_client: An ``httpx.AsyncClient`` of your own, or a function that makes one. A client is used as it is,
            never closed, and serves one event loop only. A function is called once for each event loop; what it makes
            is closed with its loop, and by `aclose` while no answer is being read. Without one, connections are made,
            kept and closed for each event loop.
        on_response: Called with a `ResponseMetadata` once for each request to a model, when its answer, good or bad,
            has ended, or when it is known that none comes. May be async.
        **model_config: What to ask for: see `PortkeyConfig`.

    Raises:
        PortkeyConfigError: If a setting is missing or wrong.

    Example:
        >>> model = PortkeyModel(
        ...     model_id="gpt-4o",
        ...     client_args={"base_url": "http://localhost:8787/v1", "provider": "openai", "Authorization": "sk-..."},
        ... )
        >>> Agent(model=model)("What is the capital of France?")
    """

    # Strands then leaves it to this class how an answer is held to a schema.
    _supports_structured_output = True

    config: PortkeyConfig
    """What to ask for, as `get_config` returns it; `update_config` changes it."""

    def __init__(
        self,
        client_args: ClientArgs | Mapping[str, UnknownKey] | None = None,
        *,
        http_client: AsyncClient | Callable[[], AsyncClient] | None = None,
        on_response: OnResponse | None = None,
        **model_config: Unpack[PortkeyConfigUpdate],
    ) -> None:
        try:
            endpoint, self._routing = split_client_args(masked(client_args or {}))
            model_config = cast("PortkeyConfigUpdate", with_model_id(model_config))
            check_model_config(model_config)
            self.config = cast("PortkeyConfig", known_config(model_config))
            # Finds wrong values early, save those that functions will return.
            known = request_headers({name: value for name, value in self._routing.items() if not callable(value)})
            self._judge = Judge.knowing(known)
            self._client = GatewayClient(endpoint, http_client)
        except PortkeyConfigError as error:
            raise error.with_traceback(None) from error.__cause__  # Keys would show in its frames, and in this one.
        finally:
            del client_args, model_config
        self._on_response = on_response
        self._learned = Learned()
        logger.debug("model_id=<%s>, keys=<%s> | initialized", self.config["model_id"], sorted(self.config))

    @override
    def update_config(self, **model_config: Unpack[PortkeyConfigUpdate]) -> None:  # type: ignore[override]
        """Change the configuration from the next request on.

        Args:
            **model_config: The keys to change: see `PortkeyConfig`.

        Raises:
            PortkeyConfigError: If a value is wrong; nothing is changed then.
        """
        try:
            check_model_config(model_config)
        except PortkeyConfigError as error:
            del model_config
            raise error.with_traceback(None) from error.__cause__  # Keys would show in its frames, and in this one.
        self.config = cast("PortkeyConfig", {**self.config, **known_config(model_config)})

    @override
    def get_config(self) -> PortkeyConfig:
        """Return the configuration; changing it changes the model's."""
        return self.config

    async def __aenter__(self) -> Self:
        """Return the model; its idle connections are closed at the end of the block."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the idle connections of the running loop."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close the idle connections of the running loop. The model can be used again.

        There is no need to: idle connections are closed after 4 seconds, and with their loop. A client that the
        function in `http_client` has made is closed too, unless an answer is being read from it.
        """
        await self._client.aclose()

    @override
    def stream(
        self,
        messages: Messages,
        tool_specs: list[ToolSpec] | None = None,
        system_prompt: str | None = None,
        *,
        tool_choice: ToolChoice | None = None,
        system_prompt_content: list[SystemContentBlock] | None = None,
        invocation_state: dict[str, Any] | None = None,
        cancel_signal: threading.Event | None = None,
        agent_metadata: AgentMetadata | None = None,
        structured_output_model: type[BaseModel] | None = None,
        **kwargs: object,
    ) -> AsyncGenerator[StreamEvent, None]:
        """Ask the model and yield its answer as it comes.

        Args:
            messages: The conversation.
            tool_specs: Tools that the model may call.
            system_prompt: System prompt as one text.
            tool_choice: Which tool the model must call.
            system_prompt_content: System prompt as blocks, cache points among them; goes before `system_prompt`.
            invocation_state: What the agent was called with. Its key ``portkey`` holds settings for this call alone:
                the keys of `CallSettings`.
            cancel_signal: Ends the answer within 50 ms once it is set, also while nothing comes.
            agent_metadata: The agent that asks; its session's id is the default key for prompt caching.
            structured_output_model: Model whose schema the answer must fit.
            **kwargs: What later versions of Strands pass.

        Yields:
            Strands stream events, ``messageStart`` with the first content, ``messageStop`` and ``metadata`` last. None
            more once the signal is set.

        Raises:
            PortkeyConfigError: If something cannot be sent.
            PortkeyConnectionError: If the gateway is not reached, hangs up or is too slow.
            PortkeyStreamError: If the answer breaks off.
            PortkeyAPIError: If the gateway or the provider answers with an error.
        """
        trailing_blocks = kwargs.get("dynamic_trailing_blocks")

        def ask(config: PortkeyConfig) -> Question:
            return to_question(
                config,
                messages,
                tool_specs,
                system_prompt,
                system_prompt_content,
                tool_choice=tool_choice,
                output_model=structured_output_model,
                session_id=agent_metadata.session_id if agent_metadata else None,
                trailing_blocks=trailing_blocks if isinstance(trailing_blocks, int) else 0,
            )

        return self._answer(lambda: self._call(ask, invocation_state), cancel_signal)

    async def _answer(
        self, begin: Callable[[], Call], cancel_signal: threading.Event | None
    ) -> AsyncGenerator[StreamEvent, None]:
        """Send the requests of a call, as many as its errors lead to, and yield the events of the answer."""
        message = event = answer = None
        last: list[StreamEvent] = []
        try:
            call = begin()
            with suppress(RequestCancelledError), Watch(self._client.endpoint.clocks, cancel_signal) as watch:
                plan: Plan | None = first_plan(call, await _called(call, watch), self._learned)
                while plan:
                    # A turn that was paused goes on in the answer that has begun.
                    translator = answer.translator if answer and plan.said else plan.wire.translator(call.judge)
                    response = GatewayResponse(self._client, to_request(call, plan), watch, call.judge)
                    answer = _Exchange(translator, response)
                    translator.splits_tags = plan.has_thinking_tags
                    watch.progress = translator.progress
                    try:
                        async with response, aclosing(response.messages()) as received:
                            try:
                                async for message in received:
                                    for event in translator.feed(*message):
                                        yield event
                                    if translator.is_done:
                                        response.is_done = True
                            except PortkeyError as error:
                                answer.failure = error.with_traceback(None)  # `on_response` must not find its frames.
                    except PortkeyError as error:
                        answer.failure = error.with_traceback(None)
                    finally:
                        answer.metadata = await self._report(answer, call, plan)
                    last, plan = await self._end(answer, call, plan, watch)
                    for event in last:
                        yield event
        except PortkeyError as error:
            message = event = answer = None  # Or the error would be part of a cycle.
            last.clear()
            raise error.with_traceback(None) from error.__cause__  # Its frames hold what came, which may quote keys.

    @override
    async def structured_output(
        self,
        output_model: type[T],
        prompt: Messages,
        system_prompt: str | None = None,
        *,
        cancel_signal: threading.Event | None = None,
        **kwargs: object,
    ) -> AsyncGenerator[dict[str, T | object], None]:
        """Ask for an answer that fits a pydantic model.

        Where the upstream enforces a JSON schema the answer is held to it, otherwise a tool carries it. What an
        upstream refuses is remembered for this model and not tried again.

        Args:
            output_model: The pydantic model.
            prompt: The conversation.
            system_prompt: System prompt as one text.
            cancel_signal: Ends the answer once it is set.
            **kwargs: What later versions of Strands pass.

        Yields:
            Events of the answer, and ``{"output": instance}`` last.

        Raises:
            PortkeyStreamError: If the answer does not fit; it quotes what the model said.
            PortkeyError: As `stream` does.
        """
        spec = to_tool_spec(output_model)
        choice: ToolChoiceToolDict = {"tool": {"name": spec["name"]}}

        def ask(config: PortkeyConfig) -> Question:
            return to_question(config, prompt, [spec], system_prompt, tool_choice=choice, output_model=output_model)

        call = self._call(ask)
        message: Message = {"role": "assistant", "content": []}
        event = None
        try:
            async with aclosing(self._answer(lambda: call, cancel_signal)) as events:
                async for event in process_stream(events):
                    if "stop" in event:
                        message = cast("Message", event["stop"][1])
                    yield event
            if cancel_signal is None or not cancel_signal.is_set():
                yield {"output": to_output(output_model, message, spec["name"], call.judge)}
        except PortkeyError as error:
            del event, message
            raise error.with_traceback(None) from error.__cause__  # Its frames hold what came, which may quote keys.

    @property
    @override
    def context_window_limit(self) -> int | None:
        """The model's context window in tokens: as configured, else as Strands' table knows the model; else None."""
        return self.config.get("context_window_limit") or find_context_window_limit(self.config["model_id"])

    @override
    async def count_tokens(
        self,
        messages: Messages,
        tool_specs: list[ToolSpec] | None = None,
        system_prompt: str | None = None,
        system_prompt_content: list[SystemContentBlock] | None = None,
    ) -> int:
        """Return the tokens of a request: Strands' estimate, or Claude's own count with ``native_token_count``.

        Args:
            messages: The conversation.
            tool_specs: Tools that the model may call.
            system_prompt: System prompt as one text.
            system_prompt_content: System prompt as blocks; goes before `system_prompt`.
        """
        config = self.config
        upstreams = find_upstreams(config.get("upstream"), self._routing, config["model_id"])
        if config.get("native_token_count") and upstreams == frozenset({"anthropic"}):
            question = to_question(config, messages, tool_specs, system_prompt, system_prompt_content)
            try:
                body = to_count_body(replace(question, upstreams=upstreams, messages=in_pairs(messages)))
                return await self._fetch("/messages/count_tokens", read_count, body, max_retries=0)
            except PortkeyError as error:
                logger.debug("error=<%s> | tokens are estimated", type(error).__name__)
        return await super().count_tokens(messages, tool_specs, system_prompt, system_prompt_content)

    async def list_models(self) -> list[str]:
        """Return the ids of the models that the gateway offers.

        Hosted and enterprise gateways list their catalog, as ``@slug/model``. The open-source gateway hands the
        question on to the `provider`. See https://portkey.ai/docs/api-reference/inference-api/models/models.

        Raises:
            PortkeyConnectionError: If the gateway is not reached, hangs up or is too slow.
            PortkeyStreamError: If the answer is no list of models.
            PortkeyAPIError: If the gateway or the provider refuses.
        """
        return await self._fetch("/models", read_models)

    async def feedback(
        self, trace_id: str, value: int, weight: float = 1.0, metadata: Mapping[str, JsonValue] | None = None
    ) -> None:
        """Rate an answer in Portkey's logs.

        Hosted and enterprise gateways only. The open-source gateway hands it on to the `provider`, which refuses it.
        See https://portkey.ai/docs/api-reference/admin-api/data-plane/feedback/create-feedback.

        Args:
            trace_id: The answer's, from `ResponseMetadata`.
            value: A whole number from -10 to 10; thumbs are usually 1 and -1.
            weight: From 0 to 1, for several of one trace.
            metadata: Further facts; Portkey indexes ``_user``, ``_organisation``, ``_prompt`` and ``_environment``.

        Raises:
            PortkeyConfigError: If a value is out of range.
            PortkeyConnectionError: If the gateway is not reached, hangs up or is too slow.
            PortkeyAPIError: If the gateway refuses.
        """
        body = to_feedback(trace_id, value, weight, metadata)
        await self._fetch("/feedback", lambda answer, _: answer, body, max_retries=0)  # Sent twice it may count twice.

    async def render_prompt(
        self, prompt_id: str, variables: Mapping[str, JsonValue] | None = None
    ) -> tuple[str | None, Messages]:
        """Return a prompt of Portkey's library, filled in: a system prompt and messages for an agent.

        Hosted and enterprise gateways only; the open-source one answers 500.
        See https://portkey.ai/docs/api-reference/inference-api/prompts/render.

        Args:
            prompt_id: The prompt's id, such as ``pp-...``.
            variables: What to fill in.

        Raises:
            PortkeyConnectionError: If the gateway is not reached, hangs up or is too slow.
            PortkeyAPIError: If the gateway refuses.
            PortkeyStreamError: If the prompt holds what Strands cannot.
        """
        path = f"/prompts/{quote(prompt_id, safe='')}/render"
        return await self._fetch(path, read_prompt, {"variables": dict(variables or {})})

    async def _fetch(
        self,
        path: str,
        read: Callable[[JsonValue, Judge], Result],
        body: Body | None = None,
        max_retries: int | None = None,
    ) -> Result:
        """Return what another endpoint answers, as `read` makes it of the JSON."""
        call = self._call(lambda config: to_question(config, ()))
        if max_retries is not None:
            call = replace(call, max_retries=max_retries)
        try:
            sent = None if body is None else dump_body(body)
            with Watch(self._client.endpoint.clocks, None) as watch:
                plan = first_plan(call, await _called(call, watch), self._learned)
                while True:
                    request = Request(path, sent, to_headers(call, plan), plan.may_reuse)
                    response = GatewayResponse(self._client, request, watch, call.judge)
                    try:
                        async with response:
                            return read(await response.json(), call.judge)
                    except PortkeyError as error:
                        plan = await self._plan_after(error, response, call, plan, watch)
        except PortkeyError as error:
            raise error.with_traceback(None) from error.__cause__  # Its frames hold what came, which may quote keys.

    def _call(self, ask: Callable[[PortkeyConfig], Question], invocation_state: dict[str, Any] | None = None) -> Call:
        """Return what the requests of a call have in common."""
        max_retries = self._client.endpoint.max_retries
        routing, config, max_retries = for_call(self._routing, self.config, max_retries, invocation_state)
        judge = self._judge.for_call(config.get("context_overflow_phrases", ()))
        tracing = trace_headers(invocation_state) if config.get("tracing", True) else {}
        return Call(config, routing, ask(config), judge, tracing, max_retries)

    async def _end(
        self, answer: _Exchange, call: Call, plan: Plan, watch: Watch
    ) -> tuple[list[StreamEvent], Plan | None]:
        """Return the events that end an answer, or the next request in its place; raise its error if there is none."""
        if answer.failure is None and (following := next_part(plan, answer.translator)):
            describe_further(following.attempt, following.wait, "the model paused its turn")
            return [], following
        try:
            last = _last_events(answer, call.config)
        except PortkeyError as error:
            # Of a part that was to go on with a paused turn nothing has come over a connection that was dead.
            if not answer.translator.has_begun or isinstance(error, StaleConnectionError):
                return [], await self._plan_after(error, answer.response, call, plan, watch)
            place(error, plan, answer.response.shown_headers())
            raise
        if plan.is_edited:
            self._learned.refuse(plan.refused)
            self._learned.bind(call.question, answer.translator.signatures)
        return last, None

    async def _plan_after(
        self, error: PortkeyError, response: GatewayResponse, call: Call, plan: Plan, watch: Watch
    ) -> Plan:
        """Return the request that may avoid an error, when it is time for it; raise the error if there is none."""
        error.__traceback__ = None  # What is raised from here on would hold its frames.
        place(error, plan, response.shown_headers())
        following = next_plan(plan, error, call, response.headers, random())  # noqa: S311 - it only spreads retries
        try:
            if following and following.routing is None:
                called = await _called(call, watch)
                following = None if called == plan.routing else replace(following, routing=called)
            if following is None:
                raise error
            remember(self._learned, plan, following, call.config["model_id"])
            said = str(error).partition("\n")[0]
            logger.info(
                "attempt=<%d>, wait=<%.2f>, change=<%s>, error=<%s: %s> | trying again",
                following.attempt,
                following.wait,
                following.change,
                type(error).__name__,
                said,
            )
            describe_further(following.attempt, following.wait, f"{type(error).__name__}: {said}")
            if following.wait:
                await watch.sleep(following.wait)
        except PortkeyTimeoutError as late:
            late.attempts = plan.attempt
            raise late from (None if late is error else error)
        return following

    async def _report(self, answer: _Exchange, call: Call, plan: Plan) -> ResponseMetadata:
        """Tell the caller and the current span what is known; a failure there must not spoil the answer."""
        judge, translator, response = call.judge, answer.translator, answer.response
        metrics = response.stopwatch.metrics()
        metadata = response_metadata(
            response.status_code,
            response.shown_headers(),
            model=judge.hide(translator.model) if translator.model else None,
            response_id=judge.quote(translator.response_id or "", LONGEST_QUOTE) or None,
            hook_results=judge.hide_within({**translator.hook_results, **response.hook_results}),
            counts=translator.counts,
            metrics=metrics,
            api=plan.wire.name,
            attempt=plan.attempt,
        )
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug(
                "attempt=<%d>, model=<%s>, received=<%d>, usage=<%s>, metrics=<%s>, error=<%s> | end of the answer",
                plan.attempt,
                metadata.model,
                translator.received,
                metadata.usage,
                metrics,
                answer.failure and type(answer.failure).__name__,
            )
        if name := answering_upstream(metadata.provider, translator.model or call.config["model_id"]):
            self._learned.answered(plan.route, name)
        try:
            describe_response(metadata)
            if self._on_response is not None and (waiting := self._on_response(metadata)) is not None:
                await waiting
        except Exception:
            logger.exception("attempt=<%d> | on_response failed", plan.attempt)
        return metadata


async def _called(call: Call, watch: Watch) -> dict[str, object]:
    """Return the settings of a call, each that is a sync or async function replaced by what it returns."""

    async def call_all() -> dict[str, object]:
        called = dict(call.routing)
        for name, value in call.routing.items():
            if callable(value):
                result = value()
                result = masked(await result if inspect.isawaitable(result) else result)
                called[name] = result
        return called

    return await watch.wait(call_all, "keys")


def _last_events(answer: _Exchange, config: PortkeyConfig) -> list[StreamEvent]:
    """Return the events that end an answer, also in spite of an error, or raise that."""
    translator, error = answer.translator, answer.failure
    if error is None:
        return translator.finish(answer.metadata)
    if isinstance(error, PortkeyGuardrailError) and config.get("on_guardrail") != "raise":
        return translator.deny(error, answer.metadata)
    if isinstance(error, PortkeyAPIError) or not translator.is_finished:
        raise error
    said = str(error).partition("\n")[0]
    logger.warning("error=<%s: %s> | the answer was whole, what followed it is lost", type(error).__name__, said)
    return translator.finish(answer.metadata)
