"""How the documentation is built: ``tox run -e docs``, where every warning is an error and every example runs."""

import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "cloudbridge_store"
author = "The cloudbridge_store authors"
copyright = f"2026, {author}"
release = version = metadata.version("cloudbridge-store")

extensions = ["sphinx.ext.autodoc", "sphinx.ext.doctest", "tables"]
exclude_patterns = ["_build"]
default_role = "any"
html_theme = "furo"
html_title = f"cloudbridge_store {release}"
html_show_sourcelink = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_type_aliases = {name: name for name in ("Data", "Patterns", "ProgressArgument", "Method", "Outcome")}
autodoc_default_options = {"members": True, "show-inheritance": True}
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100

# Examples are plain text of a Python session, so that "python -m doctest" runs the quickstart too.
doctest_test_doctest_blocks = "default"
doctest_default_flags = 0b1000  # ELLIPSIS

# There is no inventory of other projects: building needs no network. Every name of our own must resolve.
nitpick_ignore_regex = [
    (r"py:.*", r"(?!cloudbridge_store\b).*"),
    (r"py:(class|obj)", r"cloudbridge_store\.[\w.]+\.(T|Item)"),  # type variables have no page
]
