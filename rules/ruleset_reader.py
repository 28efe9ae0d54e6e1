"""Reads the sections of a combined document to a `Ruleset`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.condition_reader import ConditionReader, OperandReader
from rules.document import YamlMapping, YamlScalar, YamlSequence
from rules.examples import read_examples
from rules.facts import FACTS, FactType
from rules.field_reader import FieldReader, read_mappings, read_named_nodes, read_texts
from rules.problems import did_you_mean
from rules.rule_reader import MAX_POINTS, RuleReader
from rules.ruleset import (
    RuleFormat,
    Ruleset,
    ScoreBand,
    ScoreGroup,
    ScoreRule,
    Veto,
    WordList,
)
from rules.verdict import Verdict
from rules.window_reader import read_window

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from rules.document import YamlNode
    from rules.files import RuleFile
    from rules.problems import ProblemCollector, SourceLocation


_BAND_VERDICTS = (Verdict.ALLOW.value, Verdict.REVIEW.value, Verdict.BLOCK.value)


class RulesetReader:
    """Reads one document of `kind`, and adds its problems, which stop the load later."""

    def __init__(
        self,
        kind: RuleFormat,
        document: YamlMapping,
        problems: ProblemCollector,
        channels: Collection[str] | None = None,
    ) -> None:
        """Prepare a reader. `channels` are those that a message can be routed to, if known."""
        self._channels = channels
        self._kind = kind
        self._document = document
        self._problems = problems

    def read(self, sources: tuple[RuleFile, ...]) -> Ruleset:
        """Return the whole ruleset; use it only if no problem was added."""
        node, problems = self._document.get, self._problems
        base, low, high = self._score()
        windows = {
            name: read_window(name, each, problems)
            for name, each in read_named_nodes(node("windows"), "windows", problems)
        }
        # Before the rules: their conditions refer to windows and lists.
        named_lists = dict(read_named_nodes(node("lists"), "lists", problems))
        lists = {name: read_texts(each, name, problems) for name, each in named_lists.items()}
        used: set[str] = set()
        operands = OperandReader(problems, tuple(windows), lists, used)
        conditions = ConditionReader(problems, operands, self._kind is RuleFormat.SCORE)
        rules = RuleReader(problems, conditions, tuple(windows), self._channels)
        vetoes, scores = self._rules(rules)
        ids = {section: self._written_ids(section) for section in ("vetoes", "scores")}
        bands = self._bands(low, high)
        return Ruleset(
            format=self._kind,
            base=base,
            minimum=low,
            maximum=high,
            bands=bands,
            windows=windows,
            vetoes=vetoes,
            scores=scores,
            groups=self._groups(ids["scores"]),
            examples=read_examples(
                node("tests"), operands, self._kind, ids, [b.name for b in bands]
            ),
            lists=_build_word_lists(named_lists, lists, used),
            sources=sources,
        )

    def _score(self) -> tuple[int | str, int, int]:
        node = self._document.get("score")
        if not isinstance(node, YamlMapping):
            self._problems.add(
                self._document.place if node is None else node.place,
                "`score` is missing: {base: …, min: 0, max: 100}",
            )
            return 0, 0, 100
        fields = FieldReader(node, ("base", "min", "max"), self._problems)
        low = fields.whole("min", -MAX_POINTS, MAX_POINTS)
        high = fields.whole("max", -MAX_POINTS, MAX_POINTS)
        if low >= high:
            fields.wrong("max", "`max` must be above `min`")
        return self._base(fields), low, high

    def _base(self, fields: FieldReader) -> int | str:
        raw = fields.node("base")
        if not isinstance(raw, YamlScalar) or not isinstance(raw.value, str):
            return fields.whole("base", -MAX_POINTS, MAX_POINTS)
        fact = FACTS.get(raw.value)
        if fact is None or fact.type is not FactType.NUMBER or not fact.required:
            names = [f.name for f in FACTS.values() if f.required and f.type is FactType.NUMBER]
            hint = did_you_mean(raw.value, names)
            fields.wrong("base", f"`base` is points, or a required number such as {names[0]}{hint}")
        elif self._kind is RuleFormat.SCORE:
            fields.wrong("base", "A score set starts from points, not from a fact")
        return raw.value

    def _bands(self, low: int, high: int) -> tuple[ScoreBand, ...]:
        gate = self._kind is RuleFormat.GATE
        section, key = ("thresholds", "verdict") if gate else ("bands", "band")
        place, above = self._document.place, None
        found: list[ScoreBand] = []
        for each in read_mappings(self._document.get(section), section, self._problems):
            fields, place = FieldReader(each, (key, "from"), self._problems), each.place
            name = fields.choice(key, _BAND_VERDICTS) if gate else fields.text(key)
            start = fields.find_whole("from", low, high)
            if start is not None and above is not None and start >= above:
                fields.wrong("from", f"`{section}` go from the top down: {start} is not lower")
            if name in [band.name for band in found]:
                fields.wrong(key, f"`{name}` is here a second time")
            above = start
            found.append(ScoreBand(name, low if start is None else start, each.place))
        # Otherwise the lowest scores would have no band, and so no verdict.
        if not found or found[-1].start != low:
            self._problems.add(place, f"The last of `{section}` must start at min, {low}")
        return tuple(found)

    def _rules(self, reader: RuleReader) -> tuple[tuple[Veto, ...], tuple[ScoreRule, ...]]:
        node, problems = self._document.get, self._problems
        vetoes = [
            reader.read_veto(each) for each in read_mappings(node("vetoes"), "vetoes", problems)
        ]
        scores = [
            reader.read_score_rule(each)
            for each in read_mappings(node("scores"), "scores", problems)
        ]
        sound_vetoes = tuple(each for each in vetoes if each is not None)
        sound_scores = tuple(each for each in scores if each is not None)
        self._unique((*sound_vetoes, *sound_scores))
        return sound_vetoes, sound_scores

    def _unique(self, rules: Sequence[Veto | ScoreRule]) -> None:
        first: dict[str, Veto | ScoreRule] = {}
        for rule in rules:
            earlier = first.setdefault(rule.id, rule)
            if earlier is not rule:
                self._problems.add(
                    rule.place, f"The id `{rule.id}` is taken: it is at {earlier.place}"
                )

    def _written_ids(self, section: str) -> tuple[str, ...]:
        """Return the ids of all rules of a section, as they are written."""
        # Also of rules with problems: naming one of these is no further mistake.
        node = self._document.get(section)
        items = node.items if isinstance(node, YamlSequence) else ()
        found = [item.get("id") for item in items if isinstance(item, YamlMapping)]
        return tuple(str(each.value) for each in found if isinstance(each, YamlScalar))

    def _groups(self, ids: Sequence[str]) -> tuple[ScoreGroup, ...]:
        member: dict[str, str] = {}
        groups: list[ScoreGroup] = []
        for name, node in read_named_nodes(self._document.get("groups"), "groups", self._problems):
            if not isinstance(node, YamlMapping):
                self._problems.add(node.place, "A group is {rules: [ID, …], cap: POINTS}")
                continue
            fields = FieldReader(node, ("rules", "cap"), self._problems)
            rules = self._members(name, fields, ids, member)
            groups.append(ScoreGroup(name, rules, fields.whole("cap", 0, MAX_POINTS), node.place))
        return tuple(groups)

    def _members(
        self, name: str, fields: FieldReader, ids: Sequence[str], member: dict[str, str]
    ) -> tuple[str, ...]:
        found = read_texts(fields.node("rules"), "rules", self._problems)
        if fields.node("rules") is None:
            fields.wrong("rules", "A group names its rules")
        for rule, place in found:
            if rule not in ids:
                hint = did_you_mean(rule, ids)
                self._problems.add(place, f"There is no rule `{rule}` under `scores`{hint}")
            elif rule in member:
                self._problems.add(place, f"`{rule}` is in the group `{member[rule]}` already")
            member[rule] = name
        return tuple(rule for rule, _ in found)


def _build_word_lists(
    nodes: Mapping[str, YamlNode],
    lists: Mapping[str, list[tuple[str, SourceLocation]]],
    used: set[str],
) -> dict[str, WordList]:
    return {
        name: WordList(name, tuple(word for word, _ in found), name in used, nodes[name].place)
        for name, found in lists.items()
    }
