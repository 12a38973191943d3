"""Write the page in which DVC draws its plots, with Vega inside, so that `dvc plots show` needs no network.

DVC's own page loads Vega from elsewhere. `make setup` writes this page into .venv and names it in `.dvc/config.local`.
Neither is in git: DVC stops where a template that its config names is missing.
"""

import sys
from importlib.resources import files
from pathlib import Path

from pawline.files import write_text

# Vega 5, Vega-Lite 5 and Vega-Embed 6, the versions that DVC's plots are written for.
LIBRARIES = ("vega5.js", "vega-lite5.js", "vega-embed6.js")
# Vega turns the expressions of a plot into functions, hence unsafe-eval. Nothing may be requested but DVC's pictures.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src 'self' file: data: blob:"
)
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
{{refresh_tag}}
<title>DVC plots</title>
<style>table {{ border-spacing: 15px }}</style>
{scripts}
</head>
<body>
{{plot_divs}}
</body>
</html>
"""


def plots_template() -> str:
    """The page, with DVC's placeholders {refresh_tag} and {plot_divs}; without {scripts}, which would load Vega."""
    folder = files("js_lib_vega_embed") / "static/js_lib_vega_embed"
    scripts = [f"<script>{(folder / name).read_text(encoding='utf-8')}</script>" for name in LIBRARIES]
    return PAGE.format(policy=POLICY, scripts="\n".join(scripts))


def main() -> None:
    write_text(Path(sys.argv[1]), plots_template())


if __name__ == "__main__":
    main()
