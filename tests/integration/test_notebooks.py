"""Every notebook runs on a small city, reads through the catalogue alone and is kept without outputs."""

import ast
from pathlib import Path

import geopandas as gpd
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from pipeline.catalog import ROOT_VARIABLE
from pipeline.settings import KEY_VARIABLE
from tests.conftest import KEY, run_all

REPOSITORY = Path(__file__).parents[2]
NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
OURS = {"pipeline", "data_contracts", "flows", "tests"}
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_of(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def test_there_are_notebooks():
    assert "exploration_and_roaming" in {path.stem for path in NOTEBOOKS}


@each_notebook
def test_a_notebook_imports_the_catalogue_alone_of_the_project(path):
    imported = set()
    for cell in code_of(path):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module)
    assert {name for name in imported if name.split(".")[0] in OURS} == {"pipeline.catalog"}


@each_notebook
def test_a_notebook_is_kept_without_outputs(path):
    for cell in code_of(path):
        assert cell.outputs == []
        assert cell.execution_count is None


@pytest.fixture(scope="module")
def root(city, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_VARIABLE, KEY)
        folder = tmp_path_factory.mktemp("notebooks")
        # Two areas: large enough for ten of the city's thirty devices to be seen in each.
        tracts = gpd.read_file(city.tracts)
        tracts.dissolve(np.arange(len(tracts)) % 2).to_file(folder / "areas.geojson")
        areas = {"path": str(folder / "areas.geojson"), "id_column": "tract_geoid"}
        run_all(city.study(tracts=areas), folder / "tables")
    return folder / "tables"


@each_notebook
def test_a_notebook_runs_to_its_end(path, root, tmp_path, monkeypatch):
    monkeypatch.setenv(ROOT_VARIABLE, str(root))
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    notebook = nbformat.read(path, as_version=4)
    before = {p for p in root.rglob("*") if p.is_file()}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = "".join(output.get("text", "") for output in outputs)
    assert "2 of 2 areas are shown" in shown
    assert not [output for output in outputs if output.output_type == "error"]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 4
    assert {p for p in root.rglob("*") if p.is_file()} == before
