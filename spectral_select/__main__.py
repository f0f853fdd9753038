"""``python -m spectral_select`` is the command spectral-select."""

import sys

from spectral_select._cli.main import main

if __name__ == "__main__":
    sys.exit(main())
