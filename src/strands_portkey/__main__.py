"""Runs the command `strands-portkey` as `python -m strands_portkey`."""

import sys

from strands_portkey._cli.main import main

sys.exit(main())
