"""Builds the message of each person of a campaign: its text, its phone, and the way by hand."""

from __future__ import annotations

from typing import TypeAlias

from daemon.outbox.enqueue import SendRequest
from daemon.texts.personal_values import build_personal_text
from statemachines.vocabulary import BuiltinChannel
from storage import texts
from storage.campaigns import CampaignRecord
from storage.prospects import ProspectRecord
from storage.texts import NewTextVersion, TextVersion, format_text_reference
from storage.tx import Reader

CampaignRequest: TypeAlias = SendRequest | tuple[str, ...]
"""A request, or the variables that a person has no value for."""


class CampaignTexts:
    """Builds the requests of a campaign's messages, each with the text for its person."""

    def __init__(self, reader: Reader, campaign: CampaignRecord) -> None:
        self._campaign = campaign
        self._version: TextVersion | NewTextVersion | None = None
        if campaign.text is not None:
            found = texts.get_text(reader, campaign.text)
            versions = found.versions if found else ()
            self._version = next(
                (each for each in versions if each.version == campaign.text_version), None
            )

    def build_request(
        self, reader: Reader, prospect: ProspectRecord, who: str, key: str | None = None
    ) -> CampaignRequest:
        """Return the request of a person's message from ``who``, or what they have no value for."""
        campaign, template, text = self._campaign, None, self._campaign.typed
        if self._version is not None and campaign.text and campaign.text_version:
            personal = build_personal_text(reader, self._version, prospect, who)
            if personal.missing:
                return personal.missing
            text = personal.text
            template = format_text_reference(campaign.text, campaign.text_version)
        return SendRequest(
            to=prospect.phone,
            text=text,
            session=campaign.session,
            channel=BuiltinChannel.MANUAL,
            template=template,
            campaign=campaign.name,
            key=key,
            not_after=campaign.ends_at,
        )
