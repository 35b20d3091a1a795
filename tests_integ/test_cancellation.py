"""Requests that are cancelled at random, many at a time: no other request may hang, fail or get a wrong answer."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

import pytest
from strands import Agent
from strands.multiagent import GraphBuilder
from strands.multiagent.base import Status

from strands_portkey import PortkeyModel
from tests_integ.echo import ask, running_echo, turns

SECONDS = 20  # Longer than any unaffected request takes; a wait that ends this way is a failure.


async def _ask(model: PortkeyModel, question: str, cancelled: Sequence[int] = ()) -> str:
    """Return how a request ended that is cancelled after so many turns of the loop, and again after so many more."""
    asking = asyncio.create_task(ask(model, question))
    for count in cancelled:
        await turns(count)
        asking.cancel()
    try:
        answer = await asyncio.wait_for(asking, SECONDS)
    except asyncio.CancelledError:
        return "cancelled"
    except asyncio.TimeoutError:
        return "hung"
    return "right" if answer == question else "wrong"


@pytest.mark.parametrize(("count", "every"), [(1_500, 3), (3_000, 2)], ids=["every third", "every other"])
async def test_many_cancellations_do_not_affect_other_requests(count: int, every: int) -> None:
    chance = random.Random(count)  # noqa: S311
    innocent, cancelled = Counter[str](), Counter[str]()
    async with running_echo() as gateway:
        model = gateway.model()
        numbers = iter(range(count))

        async def work() -> None:
            for number in numbers:
                if number % every:
                    innocent[await _ask(model, str(number))] += 1
                else:
                    turns = chance.choice([[chance.randrange(100)], [chance.randrange(100), chance.randrange(5)]])
                    cancelled[await _ask(model, str(number), turns)] += 1

        await asyncio.gather(*(work() for _ in range(20)))
        await model.aclose()
        assert await gateway.is_left_with(0)

    assert innocent == {"right": count - cancelled.total()}
    assert set(cancelled) == {"right", "cancelled"}


async def test_agents_whose_callers_stop_waiting_do_not_affect_others() -> None:
    random.seed(200)
    async with running_echo(pause=0.001) as gateway:
        model = gateway.model()

        async def call(number: int) -> str:
            agent = Agent(model=model, callback_handler=None)
            limit = random.uniform(0, 0.3) if number % 3 == 0 else SECONDS  # noqa: S311
            try:
                answer = await asyncio.wait_for(agent.invoke_async(f"question {number}"), limit)
            except asyncio.TimeoutError:
                return "late" if limit < SECONDS else "hung"
            return "right" if str(answer).strip() == f"question {number}" else "wrong"

        outcomes = Counter[str]()
        for batch in range(10):
            outcomes.update(await asyncio.gather(*(call(20 * batch + each) for each in range(20))))
        await model.aclose()
        assert await gateway.is_left_with(0)

    assert set(outcomes) == {"late", "right"}
    assert outcomes.total() == 200


async def test_a_graph_whose_nodes_run_out_of_time_does_not_affect_others() -> None:
    async with running_echo(pause=0.001) as gateway:
        model = gateway.model()
        in_time = 0
        for number in range(60):
            builder = GraphBuilder()
            builder.add_node(Agent(model=model, callback_handler=None), "slow")
            builder.set_node_timeout(0.001 * (number + 1))
            builder.set_execution_timeout(SECONDS)
            with suppress(Exception):  # Strands raises a plain one for a node that ran out of time.
                result = await builder.build().invoke_async(f"question {number}")
                in_time += result.status == Status.COMPLETED
            assert await asyncio.wait_for(ask(model, f"question {number}"), SECONDS) == f"question {number}"
        await model.aclose()
        assert await gateway.is_left_with(0)

    assert 0 < in_time < 60
