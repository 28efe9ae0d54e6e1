"""What every test of the house stands on."""

from __future__ import annotations

import signal

from hypothesis import settings

# How long one example takes depends on who else uses the machine: no test is judged by it.
settings.register_profile("house", deadline=None, print_blob=True)
settings.load_profile("house")

# A suite that was started in the background inherits a Ctrl-C that is ignored, and would hand
# that on to each process it starts; the tests that interrupt one mean it.
signal.signal(signal.SIGINT, signal.default_int_handler)
