"""The floor on the Responses wire."""

from functools import partial

from tests_integ.bench.contenders.floor import Floor

make = partial(Floor, path="/responses")
