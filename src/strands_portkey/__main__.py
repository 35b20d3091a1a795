"""Makes `python -m strands_portkey` the same as the command `strands-portkey`."""

import sys

from ._cli import main

sys.exit(main())
