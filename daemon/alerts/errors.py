"""Errors of alerts that a person can meet."""

from __future__ import annotations

from typing import Final

from daemon.errors import LeadMasterError

INSTALL_COMMAND: Final = "uv tool install 'leadmaster[alerts]'"


class AlertsUnavailable(LeadMasterError):
    """Nobody can be notified now, whatever the targets are."""

    code = "alerts_unavailable"
    status = 503
    hint = "Try it: leadmaster alerts test"


class AlertTargetsRejected(LeadMasterError):
    """The file with the targets can't be used."""

    code = "alert_targets_rejected"
    status = 409
    hint = "Correct the file, then: leadmaster alerts test"
