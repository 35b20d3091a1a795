"""Makes `python -m strands_portkey` the same as the command `strands-portkey`."""

import sys

from strands_portkey._cli.main import main

sys.exit(main())
