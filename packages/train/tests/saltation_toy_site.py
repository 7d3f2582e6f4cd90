"""How tests start the command `saltation`, so that coverage and editable installs see the same code."""

import sys

COMMAND = [sys.executable, "-c", "import sys; from saltation_train._cli import main; sys.exit(main())"]
