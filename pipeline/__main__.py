"""`python -m pipeline` is `hardspike`."""

import sys

from pipeline.cli import main

sys.exit(main())
