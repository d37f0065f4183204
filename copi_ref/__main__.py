"""``python -m copi_ref`` is ``copi-ref``."""

import sys

from copi_ref.cli.main import main

sys.exit(main())
