"""Campaigns by hand over the messaging services: people, a text, and operators who work."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.campaigns.dry_runs import DryRunView
from daemon.campaigns.service import CampaignChange, CampaignView
from daemon.campaigns.working import CampaignTurn
from storage.campaign_people import CampaignPerson
from storage.texts import NewTextVersion, TextPurpose
from tests.helpers.services.messaging import MessagingServices, build_phone

WHO = "eva"


async def add_people(
    services: MessagingServices, count: int, *, first: int = 1, permission: str = "opted_in"
) -> list[str]:
    """Add validated people with names of their own; return their contacts."""
    contacts = []
    for n in range(first, first + count):
        contacts.append(await services.add_prospect(build_phone(n), permission=permission))
        await services.execute_sql(
            "UPDATE prospects SET name = ? WHERE contact = ?", f"Persona{n} Sosa", contacts[-1]
        )
    return contacts


async def add_text(services: MessagingServices, body: str = "Hola {nombre}, ¿hablamos?") -> str:
    """Store an approved follow-up text, whose fixed words make no message alike; return its id."""
    new = NewTextVersion(body=body, footer="", fallbacks={})
    made = await services.texts.create("Saludo", TextPurpose.FOLLOW_UP, "es", new, WHO)
    await services.texts.approve(made.id, 1, WHO)
    return made.id


async def add_first_contact_text(services: MessagingServices) -> str:
    """Store an approved text for first contacts, with its footer; return its id."""
    new = NewTextVersion(
        body="Hola {nombre}, ¿hablamos?",
        footer="Soy {quien}; tu número lo tomamos de {origen_en_palabras}. Respondé BAJA y listo.",
        fallbacks={"origen_en_palabras": "la feria de Rosario"},
    )
    made = await services.texts.create("Feria", TextPurpose.FIRST_CONTACT, "es", new, WHO)
    await services.texts.approve(made.id, 1, WHO)
    return made.id


async def make_draft(
    services: MessagingServices, *, name: str = "Feria marzo", **more: object
) -> str:
    """Store a draft with phone and text; return its id."""
    text = await add_first_contact_text(services)
    change = CampaignChange(name=name, session="main", text=text, **more)  # type: ignore[arg-type]
    return (await services.campaigns.create(change, WHO)).campaign.id


async def try_out(services: MessagingServices, campaign: str) -> DryRunView:
    """Make a dry run."""
    return await services.dry_runs.run(campaign, WHO)


async def start(services: MessagingServices, campaign: str) -> CampaignView:
    """Start a campaign by a dry run of now."""
    run = await try_out(services, campaign)
    return await services.campaigns.start(campaign, run.hash, WHO, "the fair is over")


async def take(services: MessagingServices, campaign: str, who: str = WHO) -> CampaignPerson:
    """Take the next person, who must be there."""
    turn = await services.campaign_work.take_next(campaign, who)
    assert turn.person is not None, turn.sentence
    return turn.person


async def send_next(services: MessagingServices, campaign: str, who: str = WHO) -> CampaignTurn:
    """Take, open and confirm the next person, if it is somebody's turn."""
    turn = await services.campaign_work.take_next(campaign, who)
    if turn.person is not None:
        await services.campaign_work.open_chat(campaign, turn.person.prospect, who)
        await services.campaign_work.confirm(campaign, turn.person.prospect, who)
    return turn


async def list_states(services: MessagingServices, campaign: str) -> list[str]:
    """Return the states of a campaign's people, in the order of their turns."""
    found = await services.campaign_reports.list_people(campaign, limit=1000)
    return [each.state.value for each in found]


def names(people: Sequence[CampaignPerson]) -> list[str]:
    """Return the names of people."""
    return [each.name for each in people]
