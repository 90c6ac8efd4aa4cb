"""`python -m policyc`."""

import sys

from policyc.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
