# SPDX-License-Identifier: Apache-2.0
"""Configuration of Sphinx. See README.md in this folder."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

# Importing Airflow creates files in its home and can read the configured database. Use a temporary home instead.
_home = tempfile.mkdtemp(prefix="agentruns-docs-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ.update(
    AIRFLOW_HOME=_home,
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{_home}/airflow.db",
)

from airflow_provider_agentruns import __version__  # noqa: E402

project = "Agent runs for Apache Airflow"
author = "The authors of airflow-provider-agentruns"
project_copyright = "the authors; Apache License 2.0"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton", "from_code"]
exclude_patterns = ["README.md", "_build"]
source_suffix = {".md": "markdown"}

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
# Keep straight quotes in command-line options.
smartquotes = False

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
maximum_signature_line_length = 88
add_module_names = False

html_theme = "furo"
html_title = f"Agent runs for Airflow {release}"
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#5b3fb0", "color-brand-content": "#5b3fb0"},
    "dark_css_variables": {"color-brand-primary": "#b9a6f2", "color-brand-content": "#b9a6f2"},
}
pygments_style = "friendly"
pygments_dark_style = "monokai"
