"""``python -m copi_ref`` is ``copi-ref``."""

import sys

from copi_ref_command import main

sys.exit(main())
