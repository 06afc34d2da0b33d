"""Rules that every stage keeps, and that a fingerprint sees what the stage computes with and no more."""

import ast
import pickle
from importlib.util import find_spec
from pathlib import Path

import grimp
import pytest

from data_contracts import COVERAGE, JOBS, PINGS, PRESENCE, SECTOR_ABSENCE, STAYS, TELEWORK
from pipeline.engine.lineage import DECLARATIONS, STUDY_FACTS, code_modules
from pipeline.engine.plan import params_of, stages_in_order
from pipeline.params import NoParams
from pipeline.stage import STAGES, stage
from pipeline.study import Study

STUDY = Study.from_dict({"name": "x", "start": "2020-01-01", "end": "2020-01-02", "zone": "UTC", "sources": []})
ALL = stages_in_order()


@pytest.mark.parametrize("declared", ALL, ids=lambda s: s.name)
def test_module_function_and_table_share_a_name(declared):
    if declared.code is None:
        assert declared.module == f"pipeline.stages.{declared.writes.name}"
    assert declared.function.__name__ == declared.writes.name
    assert declared.function.__doc__.startswith("Return")


@pytest.mark.parametrize("declared", ALL, ids=lambda s: s.name)
def test_a_stage_travels_between_processes(declared):
    assert pickle.loads(pickle.dumps(declared)) is declared


@pytest.mark.parametrize("declared", ALL, ids=lambda s: s.name)
def test_every_parameter_says_what_it_means(declared):
    for name, field in declared.params.model_fields.items():
        assert field.description, f"{declared.name}.{name}"


@pytest.mark.parametrize("declared", ALL, ids=lambda s: s.name)
def test_a_fingerprint_covers_the_kernels_a_stage_imports_and_no_other_stage(declared):
    modules = code_modules(declared.module)
    assert declared.module in modules
    assert not set(modules) & {s.module for s in ALL if s.module != declared.module}
    if declared.code:  # made of a declaration, not written
        return
    source = Path(STAGES[declared.name].function.__code__.co_filename).read_text()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("pipeline."):
            assert node.module in {*modules, *DECLARATIONS}, node.module


@pytest.mark.parametrize("declared", ALL, ids=lambda s: s.name)
def test_what_a_stage_asks_of_the_study_is_in_its_fingerprint(declared):
    """The seed is not, unless a stage needs it as a fact of its own: needs=("seed",)."""
    for module in code_modules(declared.module):
        for node in ast.walk(ast.parse(Path(find_spec(module).origin).read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "study":
                assert node.attr in {*STUDY_FACTS, "dates"}, f"{module}: study.{node.attr}"


def test_every_stage_comes_after_those_it_reads():
    done = set()
    for declared in ALL:
        assert {t.name for t in declared.reads if t.name in STAGES} <= done
        done.add(declared.name)


def test_a_declaration_that_contradicts_its_function_is_refused():
    def stays(pings, params):
        return pings

    stays.__module__ = "somewhere.stays"
    with pytest.raises(TypeError, match="its declaration says"):
        stage(reads=(COVERAGE,), writes=STAYS, params=NoParams)(stays)
    with pytest.raises(TypeError, match="two stages write stays"):
        stage(reads=(PINGS,), writes=STAYS, params=NoParams)(stays)
    stays.__module__ = "somewhere.else"
    with pytest.raises(TypeError, match="in a module stays"):
        stage(reads=(PINGS,), writes=STAYS, params=NoParams)(stays)


def declare_gather(reads, function, finish, **fields):
    function.__name__, function.__module__ = "sector_absence", "somewhere.sector_absence"
    return stage(reads=reads, writes=SECTOR_ABSENCE, finish=finish, **fields)(function)


@pytest.mark.parametrize(
    ("reads", "function", "finish", "message"),
    [
        ((PRESENCE,), lambda presence, params: None, None, "needs a finish"),
        ((JOBS,), lambda jobs, params: None, lambda parts, jobs, params: None, "whole tables only"),
        (
            (PRESENCE, JOBS, TELEWORK),
            lambda presence, jobs, telework, params: None,
            lambda parts, telework, jobs, params: None,
            r"finish of stage sector_absence takes \(parts, telework, jobs, params\); "
            r"its declaration says \(parts, jobs, telework, params\)",
        ),
        (
            (PRESENCE,),
            lambda presence, params: None,
            lambda parts, presence, params: None,
            r"its declaration says \(parts, params\)",
        ),
    ],
)
def test_a_gather_that_contradicts_its_functions_is_refused(reads, function, finish, message):
    with pytest.raises(TypeError, match=message):
        declare_gather(reads, function, finish)


def test_what_a_gather_needs_comes_before_params_in_both_functions():
    with pytest.raises(TypeError, match=r"finish of .* says \(parts, seed, params\)"):
        declare_gather((PRESENCE,), lambda presence, seed, params: 0, lambda parts, params: 0, needs=("seed",))
    with pytest.raises(TypeError, match="needs weather; there are day_end, is_last, study, seed"):
        declare_gather((PRESENCE,), lambda presence, weather, params: 0, lambda parts: 0, needs=("weather",))


def test_defaults_are_complete():
    assert set(params_of(STUDY)) == set(STAGES)


def test_only_one_module_imports_dask_and_only_flows_import_prefect():
    graph = grimp.build_graph("pipeline", "data_contracts", "flows", include_external_packages=True, cache_dir=None)
    assert set(graph.find_modules_that_directly_import("distributed")) == {"pipeline.engine.cluster"}
    assert set(graph.find_modules_that_directly_import("dask")) == {"pipeline.engine.cluster"}
    assert all(m.startswith("flows") for m in graph.find_modules_that_directly_import("prefect"))
