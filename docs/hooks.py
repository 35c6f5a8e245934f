"""What MkDocs does beyond its plugins: one API page a package, and formulas as MathML, which needs no script."""

from __future__ import annotations

import html
import re
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

SOURCE = Path(__file__).parents[1] / "src" / "lodewell"
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def api_pages() -> dict[str, list[str]]:
    """List the public modules of each package, and those at the top under `lodewell`."""
    pages: dict[str, list[str]] = {"lodewell": []}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        hidden = parts[0] == "cli" or any(part.startswith("_") for part in parts)
        if hidden or not (path.parent / "__init__.py").exists():
            continue
        page = "lodewell" if len(parts) == 1 else f"lodewell.{parts[0]}"
        pages.setdefault(page, []).append(".".join(("lodewell", *parts)))
    return pages


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the API pages to the navigation."""
    assert config.nav is not None
    config.nav.append({"Internals": [{page: f"api/{page}.md"} for page in api_pages()]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the API pages to the files."""
    for page, modules in api_pages().items():
        content = f"# {page}\n\n" + "\n".join(f"::: {module}\n" for module in modules)
        files.append(File.generated(config, f"api/{page}.md", content=content))
    return files


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn the formulas of a page into MathML."""

    def as_mathml(match: re.Match[str]) -> str:
        display = "block" if match[2] == "[" else "inline"
        return convert(html.unescape(match[3]).strip(), display=display)

    return FORMULA.sub(as_mathml, content)
