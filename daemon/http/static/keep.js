// A piece that is fetched anew changes under a person's hands: whatever is the same stays the same
// element, and with it the focus, the selection, the place and a button that is just being pressed.
// What somebody changed here stays as they left it; a row that goes hands the focus to its neighbour.
const callbacks = { beforeAttributeUpdated: mayChange, beforeNodeMorphed: isAnother };
const styles = { keep: "innerHTML", "keep:whole": "outerHTML" };

export function startKeeping() {
  htmx.defineExtension("keep", {
    isInlineSwap: (style) => styles[style] === "outerHTML",
    handleSwap(style, piece, fragment) {
      if (!styles[style]) return false;
      const focus = document.activeElement;
      const row = piece.contains(focus) ? focus.closest("[data-row]") : null;
      const place = row ? rowsOf(piece).indexOf(row) : -1;
      const shown = Idiomorph.morph(piece, fragment.children, { morphStyle: styles[style], callbacks });
      if (document.activeElement !== focus) focusAgain(focus, row?.id, neighbour(piece, place));
      return shown;
    },
  });
}

const rowsOf = (piece) => [...piece.querySelectorAll("[data-row]")];

// What a person unfolded or folded, and what they have typed, is theirs.
function mayChange(name, element) {
  if (name === "open") return element.localName !== "details";
  return name !== "value" || element.value === element.defaultValue;
}

// A number that a person asked to see whole stays so.
function isAnother(element, fresh) {
  const masked = element.dataset?.masked;
  return !masked || fresh.textContent.trim() !== masked;
}

function neighbour(piece, place) {
  const rows = rowsOf(piece);
  return place < 0 ? null : rows[Math.min(place, rows.length - 1)];
}

function focusAgain(focus, row, next) {
  const here = focus.isConnected ? focus : document.getElementById(focus.id);
  (here ?? document.getElementById(row) ?? next)?.focus({ preventScroll: true });
}
