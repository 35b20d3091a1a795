"""Fixtures: the real gateway, once for the session, and scripted upstreams for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import tests_integ.profiles  # noqa: F401 - sets what Hypothesis tries
from tests_integ import patient
from tests_integ.gateway import Gateway, running_gateway
from tests_integ.upstream import Upstream


@pytest.fixture(scope="session")
def gateway() -> Iterator[Gateway]:
    """The real gateway on loopback. A test that kills or restarts one starts its own."""
    with running_gateway() as running:
        yield running


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """An upstream with an empty script."""
    with Upstream() as running:
        yield running


@pytest.fixture
def patient_upstream() -> Iterator[Upstream]:
    """An upstream that answers what the doctor asks."""
    with Upstream(patient.answer) as running:
        yield running
