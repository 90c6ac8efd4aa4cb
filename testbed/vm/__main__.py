"""Boots a VM and runs tests/kernel in it.  python -m testbed.vm --help"""

from __future__ import annotations

import sys

from testbed.vm.run import main

sys.exit(main())
