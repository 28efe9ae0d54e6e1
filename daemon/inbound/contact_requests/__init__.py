"""Reads what a contact's own words ask of us."""

from daemon.inbound.contact_requests.findings import STRICTEST_FIRST, Finding, Reading
from daemon.inbound.contact_requests.reader import (
    ContactRequestReader,
    load_contact_request_reader,
    read_contact_request,
)

__all__ = [
    "STRICTEST_FIRST",
    "ContactRequestReader",
    "Finding",
    "Reading",
    "load_contact_request_reader",
    "read_contact_request",
]
