"""The command line as a user meets it: exit codes, streams, options, files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PROGRAMS = Path(__file__).parents[1] / "programs"

MOMENTS = """\
matrix W ~ N(0, 1/n)
vector v ~ N(0, 1)
|a[0]> = |v>
for k in 1..2 { |a[k]> = W^T W |a[k-1]> }
m[k] = <v|a[k]> for k in 1..2
output m
"""

KERNEL = """\
dim d, M
data xi[d, M]
vector u[d] ~ N(0, 1)
|x> = relu(|u> @ xi)
k = <x|x>
output k
"""


def nexort(
    *args: str | Path, cwd: Path, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nexort", *map(str, args)]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, input=stdin, check=False
    )


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "moments.nxt").write_text(MOMENTS)
    (tmp_path / "kernel.nxt").write_text(KERNEL)
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((5, 3)))
    return tmp_path


def test_check_prints_a_table(here: Path) -> None:
    done = nexort("check", "moments.nxt", cwd=here)
    assert done.returncode == 0
    assert done.stderr == ""
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[0] == ["name", "kind", "axes", "instruction"]
    assert ["a[k]", "ket", "MatMul", "for", "k", "in", "1..2"] in rows
    assert ["m[k]", "scalar", "Avg", "for", "k", "in", "1..2"] in rows


def test_check_json(here: Path) -> None:
    done = nexort("check", "kernel.nxt", "--json", cwd=here)
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert rows["k"]["axes"] == "M x M"
    assert rows["x"]["kind"] == "ket"


def test_eval_to_stdout_json_and_file(here: Path) -> None:
    done = nexort("eval", "moments.nxt", cwd=here)
    assert done.returncode == 0
    assert "m" in done.stdout
    done = nexort("eval", "kernel.nxt", "--data", "xi=x.npy", "--json", "-o", "k.npz", cwd=here)
    value = np.array(json.loads(done.stdout)["k"]["value"])
    assert value.shape == (3, 3)
    with np.load(here / "k.npz") as saved:
        np.testing.assert_allclose(saved["k"], value)
        assert (saved["k.error"] > 0).all()


def test_simulate_is_reproducible(here: Path) -> None:
    args = ("simulate", "moments.nxt", "--width", "32,64", "--seeds", "3", "--json")
    first = nexort(*args, cwd=here)
    assert first.returncode == 0
    assert first.stdout == nexort(*args, "--threads", "1", cwd=here).stdout
    assert first.stdout != nexort(*args, "--seed", "1", cwd=here).stdout
    assert set(json.loads(first.stdout)) == {"schema", "32", "64"}


def test_verify_holds_and_plots(here: Path) -> None:
    done = nexort(
        "verify",
        "moments.nxt",
        "--width",
        "32,64,128",
        "--seeds",
        "16",
        "--plot",
        "p.png",
        cwd=here,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (here / "p.png").read_bytes().startswith(b"\x89PNG")
    assert "m" in done.stdout


def test_verify_of_a_wrong_limit_exits_with_one(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nexort.cli import main
    from nexort.limit.dots import sources_of_dots
    from nexort.limit.exact import meanings

    monkeypatch.setattr(
        meanings, "sources_of_dots", lambda roots: dict.fromkeys(sources_of_dots(roots), ())
    )
    with pytest.raises(SystemExit) as done:
        main(["verify", str(here / "moments.nxt"), "--width", "64,128,256", "--seeds", "16"])
    assert done.value.code == 1


def test_data_by_set(here: Path) -> None:
    done = nexort("eval", "kernel.nxt", "--set", "xi=[[1, 0], [0, 1]]", "--json", cwd=here)
    value = np.array(json.loads(done.stdout)["k"]["value"])
    np.testing.assert_allclose(value, [[0.5, 1 / (2 * np.pi)], [1 / (2 * np.pi), 0.5]], atol=0.01)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("check", "missing.nxt"), ["not-a-program", "missing.nxt"]),
        (("check", "moment.nxt"), ["did you mean 'moments.nxt'?"]),
        (("eval", "kernel.nxt"), ["xi", "--data xi="]),
        (("eval", "kernel.nxt", "--data", "xi=y.npy"), ["y.npy"]),
        (("eval", "kernel.nxt", "--data", "x=x.npy"), ["x"]),
        (("eval", "kernel.nxt", "--set", "d=7", "--data", "xi=x.npy"), ["7", "5"]),
        (("eval", "moments.nxt", "--set", "K=3"), ["K"]),
        (("eval", "moments.nxt", "--set", "K"), ["NAME=VALUE"]),
        (("simulate", "moments.nxt", "--width", "wide"), ["wide"]),
        (("simulate", "moments.nxt", "--memory", "lots"), ["lots"]),
        (("eval", "moments.nxt", "--samples", "-4"), ["-4"]),
        (("verify", "moments.nxt", "--plot", "p.jpeg2"), ["p.jpeg2"]),
        (("graph", "moments.nxt", "-o", "g.xyz"), ["xyz"]),
        (("chekc", "moments.nxt"), ["check"]),
        (("eval", "moments.nxt", "-o", "nowhere/x.npz"), ["nowhere"]),
    ],
)
def test_user_errors_exit_with_two(here: Path, args: tuple[str, ...], words: list[str]) -> None:
    done = nexort(*args, cwd=here)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_several_errors_in_one_run(here: Path) -> None:
    (here / "bad.nxt").write_text("vector v ~ N(0, 1)\n|x> = tahn(|v>)\ns = |v>\noutput s, z\n")
    done = nexort("check", "bad.nxt", cwd=here)
    assert done.returncode == 2
    assert "did you mean 'tanh'?" in done.stderr
    assert "3 errors" in done.stderr
    assert "2 | |x> = tahn(|v>)" in done.stderr


def test_fmt(here: Path) -> None:
    ugly = here / "ugly.nxt"
    ugly.write_text("vector  v~N( 0,1 )\n|x>=relu( |v> )  # half\noutput ⟨x|x⟩\n")
    assert nexort("fmt", "--check", "ugly.nxt", cwd=here).returncode == 1
    assert nexort("fmt", "ugly.nxt", cwd=here).returncode == 0
    assert ugly.read_text() == "vector v ~ N(0, 1)\n|x> = relu(|v>)  # half\noutput <x|x>\n"
    assert nexort("fmt", "--check", "ugly.nxt", cwd=here).returncode == 0
    assert nexort("fmt", "-", cwd=here, stdin="output  1\n").stdout == "output 1\n"


def test_fmt_leaves_a_broken_file_alone(here: Path) -> None:
    broken = here / "broken.nxt"
    broken.write_text("vector v ~\n")
    assert nexort("fmt", "broken.nxt", cwd=here).returncode == 2
    assert broken.read_text() == "vector v ~\n"


def test_graph_formats(here: Path) -> None:
    assert nexort("graph", "moments.nxt", cwd=here).stdout.startswith("digraph")
    nodes = json.loads(nexort("graph", "moments.nxt", "--format", "json", cwd=here).stdout)["nodes"]
    assert any(node["instruction"].startswith("MatMul") for node in nodes)
    assert nexort("graph", "moments.nxt", "-o", "g.svg", cwd=here).returncode == 0
    assert "<svg" in (here / "g.svg").read_text()


def test_the_command_line_starts_without_heavy_imports(here: Path) -> None:
    code = (
        "import sys; from nexort.cli import main\n"
        "try: main(['check', 'moments.nxt'])\n"
        "except SystemExit: pass\n"
        "heavy = {'sympy', 'scipy', 'networkx', 'matplotlib', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=here, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", ["check", "eval", "fmt", "graph", "simulate", "verify"])
def test_help_has_examples(here: Path, command: str) -> None:
    done = nexort(command, "--help", cwd=here)
    assert done.returncode == 0
    assert f"nexort {command}" in done.stdout.split("Examples:")[1]


def test_graphs_of_joint_vectors(tmp_path: Path) -> None:
    done = nexort("graph", PROGRAMS / "correlated.nxt", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert '"(u, v)" -> "output <u|v>";' in done.stdout
    drawn = nexort("graph", PROGRAMS / "correlated.nxt", "-o", "a.svg", cwd=tmp_path)
    assert drawn.returncode == 0, drawn.stderr
