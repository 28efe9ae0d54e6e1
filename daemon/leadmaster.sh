#!/bin/sh
# The command `leadmaster`. Ctrl-C is held back until the first line of daemon/__main__.py, which answers it:
# while Python itself starts, it would print a traceback. Where env can't hold it back, only that is missing.
# -P: nothing is imported from the folder in which the command is typed.
here=$(readlink -f "$0")
python=${here%/*}/python
if env --block-signal=INT true 2>/dev/null; then
  exec env --block-signal=INT "$python" -P -m daemon "$@"
fi
exec "$python" -P -m daemon "$@"
