"""Bodies of networks that several suites train."""

from __future__ import annotations

ARCHITECTURES = {
    "biases": """
      weight u : vector[d]
      weight W : matrix ~ N(0, 2)
      weight b1, b2 : vector ~ N(0, 0.1)
      weight v : vector
      |x1> = tanh(|u> @ xi + |b1>)
      |x2> = tanh(W |x1> + |b2>)
      return <v|x2>""",
    "residual": """
      weight u : vector[d]
      weight W[1..2] : matrix
      weight v : vector
      |x[0]> = |u> @ xi
      for l in 1..2 { |x[l]> = |x[l-1]> + 0.5 * W[l] tanh(|x[l-1]>) }
      return <v|x[2]>""",
    "transposed": """
      weight u : vector[d]
      weight W : matrix
      weight v : vector
      |x1> = tanh(|u> @ xi)
      |x2> = tanh(W |x1>)
      |x3> = tanh(W^T |x2>)
      return <v|x3>""",
    "layer norm": """
      weight u : vector[d]
      weight W : matrix
      weight v, g : vector
      |x1> = tanh(|u> @ xi)
      |h> = W |x1>
      |z> = (|h> - <1|h>) / sqrt(diag(<h|h>) - <1|h>^2 + 0.01)
      |x2> = gelu((1 + 0.1 * |g>) * |z>)
      return <v|x2>""",
    "scalar": """
      weight u : vector[d]
      weight W : matrix
      weight v : vector
      weight c : scalar = 0.8
      |x1> = tanh(|u> @ xi)
      |x2> = tanh(c * W |x1>)
      return <v|x2>""",
}

ATTENTION = """
      weight u : vector[d]
      weight Q, W : matrix
      weight v : vector
      |x1> = tanh(|u> @ xi)
      |q> = Q |x1> + |x1>
      |z> = |x1> @ tanh(<q|x1>)
      |x2> = tanh(W |z>)
      return <v|x2>"""
"""Its scores are averages; not all suites have a limit for it."""
