"""The floor on the Messages wire."""

from functools import partial

from tests_integ.bench.contenders.floor import Floor

make = partial(Floor, path="/messages")
