"""Nothing of the virtual WhatsApp, or of the second client, is shipped with the product.

`.ci/smoke.py` looks into the wheel that was built; this needs none.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from tests.virtual_whatsapp.preload.sitecustomize import ROOT_KEY, ROOT_KEY_VARIABLE

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_wheel_holds_nothing_that_leads_to_it() -> None:
    """Neither a folder of the tests, nor its variable, nor the key that its clients overwrite."""
    packages = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert sorted(packages) == ["daemon", "rules", "statemachines", "storage"]
    files = [each for name in packages for each in (ROOT / name).rglob("*") if each.is_file()]
    words = (ROOT_KEY_VARIABLE.encode(), ROOT_KEY, ROOT_KEY.hex().encode(), b"from tests.")
    assert len(files) > len(packages)
    assert not [each for each in files if any(word in each.read_bytes() for word in words)]
