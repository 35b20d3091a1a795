"""What the package index shows of README.md."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ADDRESS = "https://example.com/owner/name"
PAGE = f"{ADDRESS}/blob/main/README.md"

spec = importlib.util.spec_from_file_location("hatch_build", ROOT / ".github" / "hatch_build.py")
assert spec is not None
assert spec.loader is not None
hatch_build = importlib.util.module_from_spec(spec)
spec.loader.exec_module(hatch_build)

PICTURE = """<picture>
  <source media="(prefers-color-scheme: dark)" srcset=".github/dark.svg">
  <img alt="Costs" src=".github/light.svg">
</picture>
"""
ABSOLUTE = PICTURE.replace(".github/", f"{ADDRESS}/raw/main/.github/")
CODE = "```python\ntools[name](arguments)\n```"


@pytest.mark.parametrize(
    ("text", "without_address", "with_address"),
    [
        ("[Tools](#tools)", "Tools", f"[Tools]({PAGE}#tools)"),
        ("[More](.github/docs/a.md#b)", "More", f"[More]({ADDRESS}/blob/main/.github/docs/a.md#b)"),
        (
            "[`x`](LICENSE), [y](LICENSE)",
            "`x`, y",
            f"[`x`]({ADDRESS}/blob/main/LICENSE), [y]({ADDRESS}/blob/main/LICENSE)",
        ),
        ("a ![Costs](a.svg) b", "a  b", f"a ![Costs]({ADDRESS}/raw/main/a.svg) b"),
        (f"a\n\n{PICTURE}\nb", "a\n\n\nb", f"a\n\n{ABSOLUTE}\nb"),
        ("[Portkey](https://portkey.ai/docs)",) * 3,
        (f"a\n{CODE}\nb",) * 3,
    ],
    ids=["in the page", "file", "two of a line", "image", "picture", "absolute", "code"],
)
def test_links_lead_to_the_repository_or_are_text(text, without_address, with_address):
    assert hatch_build.shown_on_index(text, "") == without_address
    assert hatch_build.shown_on_index(text, ADDRESS) == with_address


def test_the_readme_has_no_link_that_leads_nowhere():
    shown = hatch_build.shown_on_index((ROOT / "README.md").read_text(encoding="utf-8"), "")

    prose = re.sub(r"^```.*?^```$", "", shown, flags=re.MULTILINE | re.DOTALL)
    assert [target for target in re.findall(r"\]\(([^)\s]+)\)", prose) if not target.startswith("https://")] == []
