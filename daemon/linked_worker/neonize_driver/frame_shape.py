"""The shape of a frame: which words of the protocol it is made of, and nothing that anybody wrote.

The library logs each frame as text, in which names and bodies are not escaped. So nothing of it is
copied but words that are in the lists here, three digits of a code, and the kind of an address;
what else there is becomes `other`. Only the first word, which is never a person's, may be new.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

OTHER: Final = "other"


def _list_words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TAGS: Final = _list_words(
    """
    account ack action active add ads_product app-state-sync-key-request app_data biz bot bots
    business call category chatstate clean client_expiration collection community companion-props
    composing conflict contact count creation cta data debug delete description device
    device-identity device-list devices digest dirty disappearing_mode downgrade_webclient
    edge_routing enc encrypt encryption error failure feature groups hash history_sync host ib id
    identity iq item items key key-index-list keys link_code_companion_reg link_code_pairing_nonce
    link_code_pairing_ref link_code_pairing_wrapped_companion_ephemeral_pub
    link_code_pairing_wrapped_key_bundle link_code_pairing_wrapped_primary_ephemeral_pub
    companion_platform_display companion_platform_id companion_server_auth_key_pub
    companion_ephemeral_pub companion_identity_public primary_identity_pub list lid media_conn
    message meta multicast name newsletter notification offer offline offline_batch
    offline_preview pair-device pair-device-sign pair-success participants passive patch patches
    paused picture ping plaintext platform presence privacy profile prop props protocol query
    receipt ref registration remove remove-companion-device reporting reporting_tag
    reporting_token result retry routing_info side_list skey signature snapshot stage status
    stream:error subscribe success sync system terminate thread_metadata to token tokens tctoken
    type unavailable unified_session update user username usync value verified_name version
    view_once wmex xmlstreamend
    """
)
WORDS: Final = _list_words(
    """
    abt account_sync active add background blocklist business business_hours call chat companion
    companion_finish companion_hello composing contact contacts critical_block
    critical_unblock_low delete delivery devices dirty disappearing_mode encrypt error fail
    fanout full full_bleed get groups hist_sync identity inactive interactive lid
    link_code_companion_reg link_code_pairing_code_ref md media mediaretry message mex mode msg
    newsletter notification offline passive peer peer_msg picture ping pkmsg played pn poll preview
    privacy privacy_token protocol query reaction read read-self receipt regular regular_high
    regular_low registration remove replaced result retry sender sender-key server server-error
    server_sync set skmsg status stream subscribe success system text trusted_contact
    unavailable unavailable_fanout update urn:xmpp:ping urn:xmpp:whatsapp:dirty usync view
    w:biz w:comms:chat w:g2 w:m w:mex w:p w:profile:picture w:stats w:sync:app:state w:web
    device_removed
    """
)
_WORD_ATTRIBUTES: Final = _list_words(
    "type xmlns class mode context stage addressing_mode category"
)
_CODE_ATTRIBUTES: Final = frozenset(("code", "reason", "error"))
_ADDRESS_ATTRIBUTES: Final = frozenset(("from", "to", "jid", "lid", "participant", "recipient"))
_PRESENT_ATTRIBUTES: Final = _list_words(
    """
    biz_bot count device_hash expire id index key-index last name notify offline
    peer_recipient_lid peer_recipient_pn sender_lid sender_pn sid t v val value version
    """
)
"""Of these only that they are there."""
_SERVERS: Final = frozenset(("s.whatsapp.net", "lid", "g.us", "broadcast", "newsletter"))
SHAPE_WORDS: Final = (
    TAGS
    | WORDS
    | _WORD_ATTRIBUTES
    | _CODE_ATTRIBUTES
    | _ADDRESS_ATTRIBUTES
    | _PRESENT_ATTRIBUTES
    | {f"@{server}" for server in _SERVERS}
    | {OTHER}
)
"""Every word that a shape can hold, but for its first and codes of three digits."""
MAX_DEPTH: Final = 12
_FIRST_TAG: Final = re.compile(r"<([a-z][a-z:_-]{0,30})(?=[ />])")
_TAG: Final = re.compile(r'<(/?)([\w:.-]+)((?: [\w:.-]+="[^"]*")*)(/?)>')
_ATTRIBUTE: Final = re.compile(r' ([\w:.-]+)="([^"]*)"')
_CODE: Final = re.compile(r"\d{3}", re.ASCII)


class _Node:
    """A tag with its attributes, as words, and what is in it."""

    def __init__(self, tag: str, attributes: str) -> None:
        listed = " ".join(sorted(set(_list_attributes(attributes))))
        self._head = f"{tag}[{listed}]" if listed else tag
        self._children: list[str] = []

    def add(self, child: str) -> None:
        """Add a child; one that looks like an earlier one is counted as several."""
        several = f"{child}+"
        if child in self._children:
            self._children[self._children.index(child)] = several
        elif several not in self._children:
            self._children.append(child)

    def render(self) -> str:
        """Return the shape."""
        return f"{self._head}({' '.join(self._children)})" if self._children else self._head


def read_shape(frame: str) -> str:
    """Return the shape of a frame: `iq[type=get xmlns=usync](usync(query(lid)))`."""
    first = _FIRST_TAG.match(frame)
    if first is None:
        return OTHER
    whole = _TAG.match(frame)
    if whole is None:
        return first[1]  # a name is in it that can't be told from the protocol
    _, _, attributes, is_empty = whole.groups()
    nodes = [_Node(first[1], attributes)]
    if not is_empty:
        for tag in _TAG.finditer(frame, whole.end()):
            _take_tag(nodes, *tag.groups())
    while len(nodes) > 1:
        _close(nodes)
    return nodes[0].render()


def _take_tag(nodes: list[_Node], closes: str, name: str, attributes: str, is_empty: str) -> None:
    """Add what a tag begins or ends to the nodes that are open, the innermost last."""
    if closes:
        _close(nodes)
        return
    node = _Node(_choose(name, TAGS), attributes)
    if is_empty or len(nodes) == MAX_DEPTH:
        nodes[-1].add(node.render())
    else:
        nodes.append(node)


def _close(nodes: list[_Node]) -> None:
    """Close the innermost node; the outermost stays open."""
    if len(nodes) > 1:
        closed = nodes.pop()
        nodes[-1].add(closed.render())


def _list_attributes(text: str) -> Iterator[str]:
    for name, value in _ATTRIBUTE.findall(text):
        if name in _WORD_ATTRIBUTES:
            yield f"{name}={_choose(value, WORDS)}"
        elif name in _CODE_ATTRIBUTES:
            yield f"{name}={value if _CODE.fullmatch(value) else OTHER}"
        elif name in _ADDRESS_ATTRIBUTES:
            _, _, server = value.rpartition("@")
            yield (
                f"{name}=@{_choose(server, _SERVERS)}" if server in _SERVERS else f"{name}={OTHER}"
            )
        else:
            yield _choose(name, _PRESENT_ATTRIBUTES)


def _choose(word: str, known: frozenset[str]) -> str:
    return word if word in known else OTHER
