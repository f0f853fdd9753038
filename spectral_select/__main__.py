"""Run the spectral-select command with ``python -m spectral_select``."""

import sys

from spectral_select._cli.main import main

if __name__ == "__main__":
    sys.exit(main())
