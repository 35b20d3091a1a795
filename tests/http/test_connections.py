"""Connections: whatever is taken, given back, cancelled, expired and closed, in any order."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
)

from strands_portkey._http.connections import Client, Connections
from strands_portkey._settings.endpoint import split_client_args

KEPT = 4.0  # Seconds that an idle client is kept.
ENDPOINT, _ = split_client_args({"base_url": "http://127.0.0.1:9/v1"})


async def test_the_client_that_was_used_last_is_taken_first() -> None:
    connections = Connections(ENDPOINT)
    clients = [(await connections.take())[0] for _ in range(3)]
    for client in clients:
        await client.home.give_back(client, usable=True)

    assert [await connections.take() for _ in clients] == [(client, True) for client in reversed(clients)]


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose time goes on only when it is told."""

    now = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.timers: list[float] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, *arguments: Any, **options: Any) -> asyncio.TimerHandle:  # type: ignore[override]
        self.timers.append(when)
        return super().call_at(when, *arguments, **options)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run until the work is done, and then what has become due."""
        try:
            return self.run_until_complete(work)
        finally:
            self.settle()

    def settle(self) -> None:
        """Run what is due, and what this leads to."""
        for _ in range(5):
            self.run_until_complete(asyncio.sleep(0))


def test_each_idle_client_is_closed_when_its_own_time_is_over() -> None:
    loop = Loop()
    connections = Connections(ENDPOINT)
    clients = [loop.run(connections.take())[0] for _ in range(2)]
    closed = []
    for client in clients:
        loop.run(client.home.give_back(client, usable=True))
        loop.now += KEPT / 2
    for _ in range(3):
        loop.settle()
        closed.append([client.is_closed for client in clients])
        loop.now += KEPT / 2
    loop.run(loop.shutdown_asyncgens())
    loop.close()

    assert closed == [[True, False], [True, True], [True, True]]
    assert loop.timers == [KEPT, KEPT + KEPT / 2]


class Lives(RuleBasedStateMachine):
    """The clients of two event loops, beside a plain account of them."""

    taken = Bundle("taken")

    def __init__(self) -> None:
        super().__init__()
        self.connections = Connections(ENDPOINT)
        self.loops = [Loop(), Loop()]
        self.idle: list[list[tuple[float, Client]]] = [[], []]
        self.busy: list[set[Client]] = [set(), set()]
        self.made: set[Client] = set()

    def teardown(self) -> None:
        """End both loops."""
        for at in (0, 1):
            self.end(at)
            self.loops[at].close()

    @rule(target=taken, at=st.sampled_from([0, 1]), may_reuse=st.booleans(), count=st.integers(1, 3))
    def take(self, *, at: int, may_reuse: bool, count: int) -> MultipleResults[tuple[int, Client]]:
        return multiple(*(self.take_one(at, may_reuse=may_reuse) for _ in range(count)))

    def take_one(self, at: int, *, may_reuse: bool) -> tuple[int, Client]:
        client, is_kept = self.loops[at].run(self.connections.take(may_reuse=may_reuse))
        assert not client.is_closed
        assert client not in self.busy[at]
        if may_reuse and self.idle[at]:
            assert (client, is_kept) == (self.idle[at].pop()[1], True)  # The one that was used last.
        else:
            assert not is_kept
            assert client not in self.made
        self.made.add(client)
        self.busy[at].add(client)
        return at, client

    @rule(lent=consumes(taken), usable=st.sampled_from([True, True, False]))
    def give_back(self, *, lent: tuple[int, Client], usable: bool) -> None:
        at, client = lent
        if client not in self.busy[at]:  # Its loop has ended.
            return
        self.loops[at].run(client.home.give_back(client, usable=usable))
        self.busy[at].remove(client)
        if usable:
            self.idle[at].append((self.loops[at].now, client))
        assert client.is_closed is not usable

    @rule(lent=consumes(taken), turns=st.integers(1, 3))
    def give_back_and_cancel(self, lent: tuple[int, Client], turns: int) -> None:
        at, client = lent
        if client not in self.busy[at]:
            return

        async def cancelled() -> None:
            task = asyncio.ensure_future(client.home.give_back(client, usable=False))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])

        self.loops[at].run(cancelled())
        self.busy[at].remove(client)
        assert client.is_closed

    @precondition(lambda self: any(self.idle))
    @rule(at=st.sampled_from([0, 1]), seconds=st.sampled_from([0.5, KEPT / 2, KEPT]))
    def wait(self, at: int, seconds: float) -> None:
        loop = self.loops[at]
        loop.now += seconds
        loop.settle()
        expired = [client for since, client in self.idle[at] if since <= loop.now - KEPT]
        self.idle[at] = self.idle[at][len(expired) :]
        assert all(client.is_closed for client in expired)

    @precondition(lambda self: any(self.idle))
    @rule(at=st.sampled_from([0, 1]))
    def close_idle(self, at: int) -> None:
        self.loops[at].run(self.connections.aclose())
        assert all(client.is_closed for _, client in self.idle[at])
        self.idle[at].clear()

    @precondition(lambda self: any(self.idle) or any(self.busy))
    @rule(at=st.sampled_from([0, 1]))
    def end(self, at: int) -> None:
        """Let a loop end as `asyncio.run` does, and another one take its place."""
        self.loops[at].run(self.loops[at].shutdown_asyncgens())
        assert all(client.is_closed for client in self.busy[at] | {client for _, client in self.idle[at]})
        assert not asyncio.all_tasks(self.loops[at])
        self.loops[at].close()
        self.loops[at] = Loop()
        self.busy[at], self.idle[at] = set(), []

    @invariant()
    def each_client_is_accounted_for(self) -> None:
        for at in (0, 1):
            idle = [client for _, client in self.idle[at]]
            assert not any(client.is_closed for client in [*idle, *self.busy[at]])
            homes = {client.home for client in [*idle, *self.busy[at]]}
            assert {client for home in homes for client in home.busy} == self.busy[at]
        kept = set().union(*self.busy, *({client for _, client in idle} for idle in self.idle))
        assert all(client.is_closed for client in self.made - kept)


TestLives = Lives.TestCase
TestLives.settings = settings(stateful_step_count=30)
