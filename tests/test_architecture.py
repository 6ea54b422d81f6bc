"""The plan of the house, checked: who may import whom, no circles, heavy imports only where they belong."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = {
    "catalogue": set(),
    "vision": {"catalogue.errors"},
    "crawler": {"catalogue"},
    "training": {"catalogue", "vision"},
    "index": {"catalogue", "vision"},
    "app": {"catalogue", "vision", "crawler", "training", "index", "migrations"},
    "migrations": {"catalogue"},
    "demo": {"catalogue"},
}
BARRED = {"catalogue": {"torch", "torchvision", "faiss"}, "crawler": {"torch", "torchvision", "faiss"}}
NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "common", "manager", "service", "base", "misc"}


def modules(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> set[str]:
    """Modules a file imports, at its top or inside functions; not those for type checking only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {id(child) for node in ast.walk(tree) if isinstance(node, ast.If)
               and ast.unparse(node.test).endswith("TYPE_CHECKING") for child in ast.walk(node)}
    found = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_it_may(room: str) -> None:
    allowed = ROOMS[room] | {room}
    for path in modules(room):
        for module in imports(path):
            if module.split(".")[0] in ROOMS:
                assert any(module == may or module.startswith(may + ".") for may in allowed), \
                    f"{path.relative_to(ROOT)} imports {module}; {room} may import {sorted(ROOMS[room])}"


@pytest.mark.parametrize("room", BARRED)
def test_heavy_libraries_stay_out(room: str) -> None:
    for path in modules(room):
        assert not {module.split(".")[0] for module in imports(path)} & BARRED[room], path


def test_fastapi_is_only_at_the_doors() -> None:
    for room in ROOMS.keys() - {"app", "demo"}:
        for path in modules(room):
            assert "fastapi" not in {module.split(".")[0] for module in imports(path)}, path


def test_only_env_of_the_migrations_imports_the_catalogue() -> None:
    for path in modules("migrations"):
        assert path.name == "env.py" or "catalogue" not in {module.split(".")[0] for module in imports(path)}, path


def test_modules_import_each_other_in_no_circle() -> None:
    paths = {name_of(path): path for room in ROOMS for path in modules(room)}
    graph = {name: {module for module in imports(path) if module in paths and module != name}
             for name, path in paths.items()}
    done: set[str] = set()

    def walk(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, "circle: " + " → ".join([*trail[trail.index(name):], name])
        if name not in done:
            for other in sorted(graph[name]):
                walk(other, (*trail, name))
            done.add(name)

    for name in graph:
        walk(name, ())


def test_every_module_says_what_it_holds_in_its_first_line() -> None:
    for room in [*ROOMS, "benchmarks"]:
        for path in modules(room):
            docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
            assert docstring, f"{path.relative_to(ROOT)} does not say what it holds"
            assert path.stem not in NAMES_THAT_SAY_NOTHING, path


def run_python(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT).stdout


@pytest.mark.parametrize("program", ["import app.cli", "import crawler.crawl, app.commands.crawling",
                                     "import app.wiring, app.commands.catalogue"])
def test_doors_open_without_torch(program: str) -> None:
    heavy = run_python(f"import sys; {program}; print([m for m in ('torch', 'faiss', 'openvino') if m in sys.modules])")
    assert heavy.strip() == "[]"


def test_help_imports_no_command() -> None:
    loaded = run_python(
        "import sys, app.cli\n"
        "try: app.cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print('LOADED', [m for m in sys.modules if m.startswith(('app.commands', 'sqlalchemy', 'numpy'))])")
    assert loaded.strip().endswith("LOADED []")
    assert "identify" in loaded
