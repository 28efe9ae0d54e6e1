// Morphs a piece that is fetched anew: whatever is the same stays the same element, and with it the
// focus, the selection, the scroll position and a button that is just being pressed. What a person
// changed stays as they left it; when the row with the focus goes, its neighbour gets the focus.
const callbacks = { beforeAttributeUpdated: mayUpdate, beforeNodeMorphed: mayMorph };
const styles = { keep: "innerHTML", "keep:whole": "outerHTML" };

export function startMorphing() {
  htmx.defineExtension("keep", {
    isInlineSwap: (style) => styles[style] === "outerHTML",
    handleSwap(style, piece, fragment) {
      if (!styles[style]) return false;
      const focus = document.activeElement;
      const row = piece.contains(focus) ? focus.closest("[data-row]") : null;
      const index = row ? listRows(piece).indexOf(row) : -1;
      const morphed = Idiomorph.morph(piece, fragment.children, { morphStyle: styles[style], callbacks });
      if (document.activeElement !== focus) restoreFocus(focus, row?.id, findNeighbour(piece, index));
      return morphed;
    },
  });
}

const listRows = (piece) => [...piece.querySelectorAll("[data-row]")];

// A fold that a person opened or closed stays so, and so does what they have typed.
function mayUpdate(name, element) {
  if (name === "open") return element.localName !== "details";
  return name !== "value" || element.value === element.defaultValue;
}

// A number that a person asked to see whole stays whole, and what scripts keep stays theirs. What a
// person ticked or unticked stays so, unless the box is about something else now.
function mayMorph(element, fresh) {
  const isTheirs = element.type === "checkbox" && element.checked !== element.defaultChecked;
  if (isTheirs && element.value === fresh.value) fresh.checked = element.checked;
  if (element.dataset?.kept !== undefined && element.id === fresh.id) return false;
  const masked = element.dataset?.masked;
  return !masked || fresh.textContent.trim() !== masked;
}

function findNeighbour(piece, index) {
  const rows = listRows(piece);
  return index < 0 ? null : rows[Math.min(index, rows.length - 1)];
}

function restoreFocus(focus, row, next) {
  const same = focus.isConnected ? focus : document.getElementById(focus.id);
  (same ?? document.getElementById(row) ?? next)?.focus({ preventScroll: true });
}
