"""What the package index shows: README.md whole, with links into the repository."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from hatchling.metadata.plugin.interface import MetadataHookInterface

_FENCE: Final = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!https://)([^)\s]+)\)")
_PICTURE: Final = re.compile(r"<picture>.*?</picture>\n?", re.DOTALL)
_SOURCE: Final = re.compile(r'\b(src|srcset)="(?!https://)([^"]+)"')


class IndexMetadata(MetadataHookInterface):
    """Fills in the metadata that rest on the address of the repository."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the long description, and the links at its side."""
        repository = self.config["repository"]
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": shown_on_index(text, repository)}
        if repository:
            metadata["urls"] = {
                "Source": repository,
                "Changelog": f"{repository}/blob/main/.github/CHANGELOG.md",
                "Issues": f"{repository}/issues",
            }


def shown_on_index(text: str, repository: str) -> str:
    """Return Markdown whose links and pictures are absolute; where no repository is known, it has no others."""

    def link(match: re.Match[str]) -> str:
        is_picture, label, target = match.groups()
        if not repository:
            return "" if is_picture else label
        # The index gives headings no anchors.
        path = f"README.md{target}" if target.startswith("#") else target
        return f"{is_picture}[{label}]({repository}/{'raw' if is_picture else 'blob'}/main/{path})"

    def prose(part: str) -> str:
        part = _SOURCE.sub(rf'\1="{repository}/raw/main/\2"', part) if repository else _PICTURE.sub("", part)
        return _LINK.sub(link, part)

    return "".join(part if part.startswith("```") else prose(part) for part in _FENCE.split(text))
