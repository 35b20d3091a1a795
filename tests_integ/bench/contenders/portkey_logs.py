"""This package, which writes each record of its log to a text in memory."""

import logging
from io import StringIO

from tests_integ.bench.contenders.portkey import make  # noqa: F401

logger = logging.getLogger("strands_portkey")
logger.addHandler(logging.StreamHandler(StringIO()))
logger.setLevel(logging.DEBUG)
