"""No argument of a Python function is ignored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nexort
from nexort import NexortError

KERNEL = nexort.loads("""dim d, M
data xi[d, M] = [[1, 2]]
vector u[d] ~ N(0, 1)
matrix W ~ N(0, 1/n)
|h> = W tanh(|u> @ xi)
k = <h|h>
output k
""")
TRAINED = nexort.loads("""dim d, M
data xi[d, M] = [[1, 2]]
network f(xi) {
  weight u : vector[d]
  weight v : vector
  |x> = tanh(|u> @ xi)
  return <v|x>
}
train f { parametrization mup; optimizer sgd(lr=0.3); error f - 1; steps 2 }
output f
""")
OTHER = np.array([[0.5, -3.0, 1.0]])


@pytest.mark.parametrize("program", [KERNEL, TRAINED])
def test_data_reach_every_method(program: Any) -> None:
    name = program.program.outputs[0].name
    apart = program.limit(samples=256, xi=OTHER)[name]
    assert apart.shape[-1] == 3
    assert program.simulate(width=8, seeds=2, xi=OTHER)[name].shape[-1] == 3
    assert program.runs(8, 2, xi=OTHER)[name].shape[-1] == 3
    for given in ({"xi": OTHER}, {"data": {"xi": OTHER}})[: 2 if program is KERNEL else 1]:
        found = program.verify((16, 32), seeds=4, seed=1, **given).outputs[0]
        assert found.limit.shape[-1] == 3
    assert len(KERNEL.explain(xi=OTHER)) > len(KERNEL.explain()) - 1
    for method in (program.limit, lambda **x: program.simulate(8, **x), program.verify):
        with pytest.raises(NexortError, match="zeta"):
            method(zeta=OTHER)


def test_options_that_mean_nothing_are_refused(tmp_path: Path) -> None:
    part = tmp_path / "run.npz"
    for method in (KERNEL.limit, lambda **x: KERNEL.simulate(8, **x), KERNEL.verify):
        with pytest.raises(NexortError, match="checkpoint"):
            method(checkpoint=part)
    for wrong in ({"samples": 0}, {"replicates": 0}, {"rtol": -1e-3}, {"max_samples": 0}):
        with pytest.raises(NexortError, match="above 0"):
            TRAINED.limit(**wrong)


def test_arguments_of_classify() -> None:
    plain = nexort.classify(TRAINED)
    assert "c + 1/2" not in str(plain)
    assert "c + 1/2" in str(nexort.classify(TRAINED, normalization="update"))
    with pytest.raises(NexortError, match="depth"):
        nexort.classify(TRAINED, depth=3)
    with pytest.raises(NexortError, match="depth"):
        nexort.classify([(0, 0, 0, 1), (1, 0, 0, 1)], depth=3)
    with pytest.raises(NexortError, match="parametrization"):
        nexort.classify("mup", depth=2, parametrization="ntp")
