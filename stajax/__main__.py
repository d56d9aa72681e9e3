"""`python -m stajax` is `stajax`."""

import sys

from stajax.cli import main

sys.exit(main())
