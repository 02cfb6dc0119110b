"""stub"""

from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Entry:
    source: str
    weight_decay: float | None = None


@cache
def registry() -> dict[str, Entry]:
    return {
        "sgd": Entry("update sgd(g) { return g }"),
        "momentum": Entry(
            "update momentum(g, beta=0.9) { state m = 0; m = beta * m + g; return m }"
        ),
        "adam": Entry("""update adam(g, beta1=0.9, beta2=0.999, eps=1e-8) {
  state m = 0
  state v = 0
  m = beta1 * m + (1 - beta1) * g
  v = beta2 * v + (1 - beta2) * g^2
  return m / (1 - beta1^(t + 1)) / sqrt(v / (1 - beta2^(t + 1)) + eps^2)
}"""),
    }
