"""Renders a backtest report as one HTML page: plots as SVG, and no external resources.

It is a file to be kept or sent, so it has to work without the daemon and without a network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any

FlipDict = Mapping[str, Any]
_VERDICTS = ("allow", "review", "defer", "route", "block")
_WIDTH, _ROW, _LABEL = 640, 26, 190  # of a plot, in pixels
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2430; background: #fff;
       max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
svg { display: block; width: 100%; height: auto; font: 12px system-ui, sans-serif; }
text { fill: #1c2430; } .old { fill: #aab4c2; } .new { fill: #2463b5; }
.more { fill: #b4451f; } .less { fill: #2f7d4f; } line { stroke: #c9d1dc; }
table { border-collapse: collapse; width: 100%; } .key { color: #56616f; }
th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid #e4e8ee;
         vertical-align: top; }
@media (prefers-color-scheme: dark) {
  body { color: #e3e8ef; background: #151a21; } text { fill: #e3e8ef; }
  .new { fill: #6ea4ea; } .old { fill: #566170; } line { stroke: #3a4452; }
  th, td { border-color: #2b333e; } .key { color: #9aa6b5; } }
"""


def _describe_engine_check(report: Mapping[str, Any]) -> str:
    if report["decisions"] and not report["checked"]:
        return "durable-rules was not asked."
    return (
        f"{report['checked']} of them were judged by both engines, {report['disagreed']} otherwise."
    )


def render_html_report(report: Mapping[str, Any]) -> str:
    """Return the page for a report in the JSON form of `BacktestReport`."""
    total = report["decisions"]
    parts = [
        f"<h1>Backtest of the rules {escape(report['gate'][:12])}</h1>",
        (
            f"<p>{total} decisions since {escape(report['since'][:10])}. "
            f"<b>{report['allows_more']}</b> would be newly allowed, "
            f"<b>{report['allows_less']}</b> allowed no more. {_describe_engine_check(report)}</p>"
        ),
        "<h2>Verdicts</h2>",
        _render_legend("as decided", "by these rules"),
        _render_verdicts(report["before"], report["after"]),
        "<h2>Scores</h2>",
        _render_legend("as decided", "by these rules"),
        _render_scores(report["scores_before"], report["scores_after"]),
        "<h2>Which rules turn it</h2>",
        (
            '<p class="key">Decisions that each rule had a part in: <b>left</b> allowed no more, '
            "<b>right</b> newly allowed.</p>"
        ),
        _render_rules(report["by_rule"]),
        _render_examples("Newly allowed", report, lambda flip: flip["after"] == "allow"),
        _render_examples("Allowed no more", report, lambda flip: flip["before"] == "allow"),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Backtest {escape(report['gate'][:12])}</title><style>{_STYLE}</style></head>"
        f"<body>\n{chr(10).join(parts)}\n</body></html>\n"
    )


def _render_legend(old: str, new: str) -> str:
    return (
        f'<p class="key"><svg viewBox="0 0 {_WIDTH} 16" role="img" aria-label="{old}, {new}">'
        f'<rect class="old" width="12" height="12"/><text x="18" y="11">{old}</text>'
        f'<rect class="new" x="120" width="12" height="12"/><text x="138" y="11">{new}</text>'
        "</svg></p>"
    )


def _render_verdicts(before: Mapping[str, int], after: Mapping[str, int]) -> str:
    """Return a plot with two bars for each verdict, before and after."""
    rows = [word for word in _VERDICTS if before.get(word) or after.get(word)]
    longest = max((*before.values(), *after.values(), 1))
    room = _WIDTH - _LABEL - 80
    drawn: list[str] = []
    for row, word in enumerate(rows):
        top = row * (_ROW + 10)
        drawn.append(f'<text x="0" y="{top + 18}">{word}</text>')
        for offset, style, count in (
            (0, "old", before.get(word, 0)),
            (14, "new", after.get(word, 0)),
        ):
            width = count / longest * room
            drawn.append(_render_bar(style, _LABEL, top + offset, width, 12))
            at = f'x="{_LABEL + width + 6:.1f}" y="{top + offset + 11}"'
            drawn.append(f"<text {at}>{count}</text>")
    return _render_svg(len(rows) * (_ROW + 10), "Verdicts before and after", drawn)


def _render_scores(before: Sequence[int], after: Sequence[int]) -> str:
    """Return two histograms of scores, side by side, in steps of five points."""
    high, bars = 140, max(len(before), 1)
    step, tallest = _WIDTH / bars, max((*before, *after, 1))
    drawn: list[str] = []
    for index, (old, new) in enumerate(zip(before, after, strict=True)):
        for style, count, shift in (("old", old, 0.0), ("new", new, 0.45)):
            tall = count / tallest * high
            left = (index + shift) * step + 1
            drawn.append(_render_bar(style, left, high - tall, step * 0.45 - 1, tall))
        if index % 2 == 0:
            drawn.append(f'<text x="{index * step:.1f}" y="{high + 16}">{index * 5}</text>')
    drawn.append(f'<line x1="0" y1="{high}" x2="{_WIDTH}" y2="{high}"/>')
    return _render_svg(high + 22, "Scores before and after", drawn)


def _render_rules(rules: Sequence[Mapping[str, Any]]) -> str:
    """Return a plot of each rule's flips: bars to the left away from allow, to the right to it."""
    if not rules:
        return "<p>No rule: nothing is allowed or stopped that was not before.</p>"
    longest = max(max(each["allows"], each["stops"]) for each in rules) or 1
    room, middle = (_WIDTH - _LABEL) / 2 - 50, _LABEL + (_WIDTH - _LABEL) / 2
    drawn: list[str] = []
    for row, each in enumerate(rules):
        top = row * _ROW
        stops, allows = (each[side] / longest * room for side in ("stops", "allows"))
        drawn += [
            f'<text x="0" y="{top + 15}">{escape(each["rule"])}</text>',
            _render_bar("less", middle - stops, top + 4, stops, 14),
            _render_bar("more", middle, top + 4, allows, 14),
            (
                f'<text x="{middle - stops - 6:.1f}" y="{top + 15}" text-anchor="end">'
                f"{each['stops'] or ''}</text>"
            ),
            f'<text x="{middle + allows + 6:.1f}" y="{top + 15}">{each["allows"] or ""}</text>',
        ]
    drawn.append(f'<line x1="{middle}" y1="0" x2="{middle}" y2="{len(rules) * _ROW}"/>')
    return _render_svg(len(rules) * _ROW + 4, "Flips by rule", drawn)


def _render_bar(style: str, left: float, top: float, width: float, height: float) -> str:
    return (
        f'<rect class="{style}" x="{left:.1f}" y="{top:.1f}" width="{max(width, 0):.1f}"'
        f' height="{height:.1f}"/>'
    )


def _render_svg(height: float, label: str, drawn: Iterable[str]) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height:.0f}" role="img" aria-label="{label}">'
        f"{''.join(drawn)}</svg>"
    )


def _render_examples(
    heading: str, report: Mapping[str, Any], wanted: Callable[[Mapping[str, Any]], bool]
) -> str:
    flips = [flip for flip in report["examples"] if wanted(flip)]
    if not flips:
        return ""
    head = "".join(f"<th>{word}</th>" for word in ("who", "from", "to", "why", "what came of it"))
    rows = "".join(_render_row(flip) for flip in flips)
    return f"<h2>{heading}: examples</h2><table><tr>{head}</tr>{rows}</table>"


def _render_row(flip: FlipDict) -> str:
    # Names and sentences come from lists, people and plugins, so everything is escaped.
    who = _render_two_lines(flip["name"] or "no name", flip["phone"])
    why = _render_two_lines(flip["sentence"], ", ".join(flip["responsible_rules"]))
    outcomes = ", ".join(flip["outcomes"]) or "nothing yet"
    cells = (
        who,
        f"{flip['before']} {_format_points(flip['score_before'])}",
        f"{flip['after']} {_format_points(flip['score_after'])}",
        why,
        f"{escape(outcomes)} ({escape(flip['state'])})",
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _render_two_lines(first: str, second: str) -> str:
    return f'{escape(first)}<br><span class="key">{escape(second)}</span>'


def _format_points(score: int | None) -> str:
    return "" if score is None else f"({score})"
