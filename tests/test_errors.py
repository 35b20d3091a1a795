"""The exception tree: what each error carries, and that it gives no secret away."""

from __future__ import annotations

import copy
import pickle

import pytest
from strands.types.exceptions import ContextWindowOverflowException, ModelThrottledException

from strands_portkey import _errors
from strands_portkey._errors import (
    PortkeyAPIError,
    PortkeyConfigError,
    PortkeyContextOverflowError,
    PortkeyError,
    PortkeyGuardrailError,
    PortkeyThrottledError,
    PortkeyTimeoutError,
)

CLASSES = [each for each in vars(_errors).values() if isinstance(each, type) and issubclass(each, PortkeyError)]


def full_error(cls):
    error = cls("said key-1")
    if isinstance(error, PortkeyAPIError):
        error = cls(
            "said key-1",
            origin="provider",
            status_code=429,
            code="key-1",
            type="t",
            param="p",
            provider="openai",
            trace_id="t-1",
            body='{"key":"key-1"}',
            received=3,
            hint="use key-1",
            retryable=True,
            retry_after=1.5,
        )
    return error


@pytest.mark.parametrize("cls", CLASSES)
def test_all_errors_have_one_base_class_and_are_drawn_in_the_tree(cls):
    assert issubclass(cls, PortkeyError)
    assert f"{cls.__name__} " in f"{_errors.__doc__} ".replace("\n", " ")


@pytest.mark.parametrize(
    ("cls", "base"),
    [
        (PortkeyThrottledError, ModelThrottledException),
        (PortkeyContextOverflowError, ContextWindowOverflowException),
        (PortkeyConfigError, ValueError),
    ],
)
def test_errors_are_also_exceptions_of_strands_and_python(cls, base):
    assert issubclass(cls, base)


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])  # noqa: S301
def test_an_error_survives_copying_and_pickling(cls, clone):
    error = full_error(cls)

    twin = clone(error)

    assert (type(twin), str(twin), vars(twin)) == (type(error), str(error), vars(error))


def test_the_hint_stands_below_the_message():
    assert str(PortkeyError("no", hint="do")) == "no\nHint: do"


def test_a_timeout_names_its_clock():
    error = PortkeyTimeoutError("slow", clock="idle", seconds=3, received=2)

    assert (error.origin, error.clock, error.seconds, error.received, error.retryable) == (
        "network",
        "idle",
        3,
        2,
        True,
    )


def test_a_guardrail_error_can_be_made_by_hand():
    error = PortkeyGuardrailError("no")

    assert (error.denial, error.hook_results) == ("", None)
