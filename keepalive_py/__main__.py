"""`python -m keepalive_py`: the daemon."""

import sys

from keepalive_py.cli.daemon import main

sys.exit(main())
