"""The limit of every output: exact where mathematics allows, with an error bar on what is sampled.

Scalars that ``nexort.limit.exact`` finds are numbers for the sampler; where all outputs are exact
nothing is sampled.
"""

from __future__ import annotations

from nexort.limit.estimate import LimitValue
from nexort.limit.exact.existing import examine, heavy
from nexort.limit.exact.solve import solve
from nexort.limit.sample.evaluate import sample
from nexort.limit.sample.known import with_known
from nexort.limit.sample.plan import SamplePlan
from nexort.limit.settings import EXACT_RTOL, Progress, Settings
from nexort.program.unrolled import Unrolled


def evaluate(
    program: Unrolled, settings: Settings | None = None, progress: Progress | None = None
) -> dict[str, LimitValue]:
    """The limit of every output of an unrolled program without operators (Def 2.6.5).

    Raises NexortError where a number is not finite or a covariance is not positive semidefinite,
    pointing at the line that made it.
    """
    settings = settings or Settings()
    unknown = examine(program)
    if not settings.exact:
        return sample(SamplePlan.of(program, unknown, heavy(program, unknown)), settings, progress)
    solution = solve(program, settings.rtol or EXACT_RTOL, settings.memory, unknown)
    found = {
        name: LimitValue(x.value, x.error, x.method, x.meets(settings.rtol))
        for name, x in solution.outputs.items()
    }
    missing = [o.name for o in program.outputs if o.name not in found]
    if missing:
        rest, unknown = with_known(program, solution.known, missing, unknown)
        found |= sample(SamplePlan.of(rest, unknown, heavy(rest, unknown)), settings, progress)
    return {o.name: found[o.name] for o in program.outputs}
