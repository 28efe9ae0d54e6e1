"""Errors of backups that a person can meet."""

from __future__ import annotations

from daemon.errors import LeadMasterError


class BackupFailed(LeadMasterError):
    """A copy could not be made, or not be taken where it should go."""

    code = "backup_failed"
    status = 503
    hint = "Mend what the sentence names, then: leadmaster backup now"


class BackupKeyMissing(LeadMasterError):
    """There is no key, so nothing can be sealed."""

    code = "backup_key_missing"
    status = 409
    hint = "Make one, and print it: leadmaster backup key"


class BackupKeyWrong(LeadMasterError):
    """What was typed is no private key, or not the one of this copy."""

    code = "backup_key_wrong"
    status = 403
    hint = "Type the key from the printed sheet, all of its rows."


class BackupUnreadable(LeadMasterError):
    """A sealed file can't be opened, or what is in it is no backup."""

    code = "backup_unreadable"
    status = 422
    hint = "Try an older one: leadmaster backup list"
