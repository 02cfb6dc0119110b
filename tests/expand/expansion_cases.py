"""Trainings that are written out in tests, each for something that is easy to get wrong."""

from __future__ import annotations

from architectures import ATTENTION

HEAD = """
dim d, M
data xi[d, M] = [[0.7, -1.1, 0.4], [-0.5, 0.9, 1.2]]
data y[M] = [0.6, -0.4, 0.3]
data train[M] = [1, 1, 0]
"""


def training(network: str, settings: str, outputs: str = "f", head: str = HEAD) -> str:
    """A program with a network and a training."""
    given = "" if "error" in settings else "error (f - y) * train\n"
    given += "" if "parametrization" in settings else "parametrization mup\n"
    given += "" if "steps" in settings else "steps 2\n"
    return (
        f"{head}\nnetwork f(xi) {{\n{network}\n}}\n\n"
        f"train f {{\n{given}{settings}\n}}\n\noutput {outputs}\n"
    )


MLP = """
weight u : vector[d]
weight W[2..3] : matrix
weight v : vector
|x[1]> = tanh(|u> @ xi)
for l in 2..3 { |x[l]> = tanh(W[l] |x[l-1]>) }
return |v> * |x[3]>
"""

TWO = """
weight u : vector[d]
weight W : matrix
weight v : vector
|x1> = tanh(|u> @ xi)
|x2> = tanh(W |x1>)
return <v|x2>
"""

CASES: dict[str, str] = {
    # a member that the output reads besides the next layer: its cotangent is found apart
    "skips": training(
        """
        weight u : vector[d]
        weight W[2..L] : matrix
        weight v, w : vector
        |x[1]> = tanh(|u> @ xi)
        for l in 2..L { |x[l]> = tanh(W[l] |x[l-1]>) }
        return <v|x[L]> + <w|x[1]>
        """,
        "optimizer sgd(lr=0.2)",
        head=f"param L = 3\n{HEAD}",
    ),
    # a sum over all members: every one has two readers
    "dense": training(
        """
        weight u : vector[d]
        weight W[2..L] : matrix
        weight v : vector
        |x[1]> = tanh(|u> @ xi)
        for l in 2..L { |x[l]> = tanh(W[l] |x[l-1]>) }
        |z> = sum(l in 1..L) 0.5 * |x[l]>
        return <v|z>
        """,
        "optimizer sgd(lr=0.2)",
        head=f"param L = 3\n{HEAD}",
    ),
    # one matrix in every round of a loop: a sum of outer products
    "recurrent": training(
        """
        weight u : vector[2]
        weight W : matrix
        weight v : vector
        |p[0]> = |u[0]> * xi[0]
        for k in 1..R {
          |h[k]> = W tanh(|p[k-1]>)
          |p[k]> = tanh(|h[k]>) + |u[1]> * xi[1]
        }
        return <v|p[R]>
        """,
        "optimizer adam(lr=0.1, eps=0.01)",
        head=f"param R = 3\n{HEAD}",
    ),
    # settings of single weights and members, decay in several places
    "settings": training(
        MLP,
        """
        optimizer momentum(lr=0.2 / (t + 1), beta=0.5)
        optimizer adamw(lr=0.1, eps=0.01, weight_decay=0.5) for W
        optimizer sgd(lr=0.3) for W[3]
        decay 0.1 for u
        decay 0.2 * (t + 1) / 4 for v
        """,
    ),
    # entries of data by the step: there is none for the last one
    "schedules": training(
        TWO,
        "optimizer sgd(lr=rates[t])\nerror (f - y) * batch[t]",
        head=f"{HEAD}data rates[2] = [0.1, 0.3]\ndata batch[2, M] = [[1, 0, 1], [0, 1, 1]]\n",
    ),
    # an optimizer and functions of the program, names that the expansion would like to use
    "names": training(
        """
        weight t : vector[d]
        weight chi : matrix
        weight s : vector
        |h> = |t> @ xi
        |dh> = chi phi(|h>, 0.5)
        return <s|dh>
        """,
        "optimizer mine(lr=0.2, beta=0.5)\nerror huber(f - y) * train",
        outputs="f, <dh|dh> as T",
        head=f"""{HEAD}
fn phi(z, a) = tanh(a * z) + 0.1 * z
fn huber(r) = max(-0.5, min(0.5, r))
optimizer mine(lr, beta=0.9) {{
  state m = 0
  m = beta * m + g
  update m / sqrt(m^2 + 0.01)
}}
""",
    ),
    "two heads": training(
        """
        weight u : vector[d]
        weight W : matrix
        weight v : vector[2]
        |x1> = tanh(|u> @ xi)
        |x2> = relu(W |x1>)
        return <v|x2>
        """,
        "optimizer sgd(lr=0.2)\nerror (f - [y, 2 * y]) * train",
        outputs="f, f[1, 0, 2] as one, <x2[2]|x1[0]> as cross",
    ),
    "layer norm": training(
        """
        weight u : vector[d]
        weight W : matrix
        weight v, g : vector
        |x1> = tanh(|u> @ xi)
        |h> = W |x1>
        |z> = (|h> - <1|h>) / sqrt(diag(<h|h>) - <1|h>^2 + 0.01)
        |x2> = tanh((1 + 0.1 * |g>) * |z>)
        return <v|x2>
        """,
        "optimizer adam(lr=0.1, eps=0.01)",
    ),
    # scalar weights, biases, means, objects that are not trained
    "kinds": training(
        """
        weight u : vector[d] ~ N(0.3, 2)
        weight W : matrix ~ N(0, 1 + 1/2)
        weight b : vector ~ N(0, 0.1)
        weight c : scalar = 0.8
        weight v : vector
        vector p ~ N(0.1, 0.5)
        matrix A ~ N(0, 2/n)
        |x1> = tanh(|u> @ xi + |p>)
        |x2> = tanh(c * W |x1> + |b> + 0.5 * A |x1>)
        return <v|x2>
        """,
        "optimizer adam(lr=0.1, eps=0.01)\nstart f0",
        head=f"{HEAD}data f0[M] = [0.1, 0.2, 0.3]\n",
    ),
    # a nonlinear outer product inside the network
    "outer": training(
        """
        weight u : vector[d]
        weight W : matrix
        weight v : vector
        |x1> = tanh(|u> @ xi)
        |x2> = tanh(W |x1>)
        |x3> = E{1}[ tanh(|x2> * |x1>{1}) * |x1>{1} ] + |x2>
        return <v|x3>
        """,
        "optimizer sgd(lr=0.2)",
    ),
    "transposed": training(
        """
        weight u : vector[d]
        weight W : matrix
        weight v : vector
        |x1> = tanh(|u> @ xi)
        |x2> = relu(W |x1>)
        |x3> = tanh(W^T |x2> + |x1>)
        return <v|x3>
        """,
        "optimizer adam(lr=0.1, eps=0.01)",
    ),
    # the whole batch in every output
    "batch mean": training(
        """
        weight u : vector[d]
        weight W : matrix
        weight v : vector
        |x1> = tanh(|u> @ xi)
        |x2> = tanh(W |x1>)
        |z> = |x2> - |x2> @ [0.25, 0.25, 0.25]
        return <v|z>
        """,
        "optimizer sgd(lr=0.2)",
    ),
    # operators with names
    "operators": training(
        """
        weight u : vector[d]
        weight W : matrix
        weight v, p : vector
        A = 0.5 * W + |p> <p|
        |x1> = tanh(|u> @ xi)
        |x2> = tanh(A |x1>)
        return <v|x2>
        """,
        "optimizer sgd(lr=0.2)",
    ),
    # rules after the training
    "rules": training(
        TWO,
        "optimizer sgd(lr=0.2)",
        outputs="gap, f[1] as first",
    ).replace("output", "gap[k] = diag(<x2[k]|x2[0]>) for k in 0..2\noutput"),
    "no batch": training(
        """
        weight W : matrix
        weight u, v : vector
        |x> = tanh(W |u>)
        return <v|x>
        """,
        "optimizer adam(lr=0.1, eps=0.01)\nerror f - 0.5",
    ),
    # neural tangent
    "tangent": training(
        MLP, "parametrization ntp\noptimizer adam(lr=0.1, eps=0.01)\ncentre",
        outputs="f, <x[3]|x[3]> as nngp, <x[2, 1]|x[2, 0]> as same",
    ),
    "tangent kinds": training(
        """
        weight u : vector[d] ~ N(0.3, 2)
        weight W[1..2] : matrix ~ N(0, 1.5)
        weight b : vector ~ N(0, 0.1)
        weight v : vector
        |x1> = tanh(|u> @ xi)
        |x2> = tanh(W[1] |x1> + |b>) + 0.5 * |x1>
        |x3> = tanh(W[2] |x2> + 0.5 * |b>)
        return <v|x3> + 0.5 * <v|x1>
        """,
        "parametrization ntp\noptimizer adam(lr=0.1, eps=0.01)\noptimizer sgd(lr=0.2) for b\n"
        "start f0",
        head=f"{HEAD}data f0[M] = [0.1, 0.2, 0.3]\n",
    ),
    "tangent tied": training(
        """
        weight u : vector[d]
        weight W : matrix
        weight v : vector
        |p[0]> = tanh(|u> @ xi)
        for k in 1..2 { |p[k]> = tanh(W |p[k-1]>) }
        return <v|p[2]>
        """,
        "parametrization ntp\noptimizer adam(lr=0.1, eps=0.01)\ncentre",
    ),
    "between": training(TWO, "parametrization ups(1/4)\noptimizer adam(lr=0.1, eps=0.01)"),
}  # fmt: skip

CASES |= {
    # several outputs, kets that they share: K_Q as the derivative along the updates
    "tangent heads": training(
        """
        weight u : vector[d]
        weight W[2..3] : matrix
        weight v : vector[2]
        |x[1]> = tanh(|u> @ xi)
        for l in 2..3 { |x[l]> = tanh(W[l] |x[l-1]>) }
        return <v|x[3]>
        """,
        "parametrization ntp\noptimizer adam(lr=0.1, eps=0.01)\ncentre\n"
        "error (f - [y, 2 * y]) * train",
    ),
    "tangent batch": training(
        """
        weight u : vector[d]
        weight W : matrix
        weight b, v : vector
        |x1> = tanh(|u> @ xi)
        |x2> = tanh(W |x1> + |b>)
        |z> = |x2> - |x2> @ [0.25, 0.25, 0.25]
        |x3> = E{1}[ tanh(|z> * |x1>{1}) * |x1>{1} ] + |z>
        return <v|x3>
        """,
        "parametrization ntp\noptimizer adam(lr=0.1, eps=0.01)\ncentre",
    ),
    # updates divided by norms
    "norms": training(
        MLP.replace("weight v : vector", "weight v : vector\nweight b : vector[2]").replace(
            "|x[1]> = tanh(|u> @ xi)", "|x[1]> = tanh(|u> @ xi + |b[0]> - 0.5 * |b[1]>)"
        ),
        "optimizer adam(lr=0.2, eps=0.01)\noptimizer sgd(lr=0.2) for W[2], b\n"
        "normalize updates for W, b\nclip 0.3 for u, W[3]",
    ),
    "norms of weights": training(
        MLP.replace("weight W[2..3] : matrix", "weight W[2..3] : matrix ~ N(0, 1.5)"),
        "optimizer adam(lr=0.2, eps=0.01)\nnormalize weights\ndecay 0.1 for W[3], v\nsteps 3",
    ),
    # families of two indices; a member with a reader in every round of an inner loop
    "grid": training(
        """
        weight u : vector[d]
        weight W[1..L, 1..K] : matrix
        weight v[1..K] : vector
        |x[0]> = tanh(|u> @ xi)
        for l in 1..L {
          for k in 1..K { |p[l, k]> = tanh(W[l, k] |x[l-1]>) }
          |x[l]> = sum(k in 1..K) 0.5 * |p[l, k]>
        }
        return sum(k in 1..K) <v[k]|p[L, k]>
        """,
        "optimizer adam(lr=0.1, eps=0.01)",
        head=f"param L = 2, K = 2\n{HEAD}",
    ),
    # sizes that the data tell
    "sequence": training(
        """
        weight u, v : vector
        weight W : matrix
        |p[0]> = |u> * seq[0]
        for k in 1..S-1 { |p[k]> = tanh(W |p[k-1]>) + |u> * seq[k] }
        return <v|p[S-1]>
        """,
        "optimizer sgd(lr=0.1)",
        head=f"{HEAD}dim S\ndata seq[S, M] = [[1, 2, 3], [0.1, 0.2, 0.3], [0.3, -0.4, 1]]\n",
    ),
    # one entry of a ket's axis, whose size the data tell
    "entry": training(
        """
        weight u : vector[d]
        weight W : matrix
        weight v : vector
        |x1> = tanh(|u> @ xi)
        |x2> = tanh(W |x1>)
        return <v|x2[0]> + <v|x1[1]>
        """,
        "optimizer sgd(lr=0.1)\nerror f - 0.5",
    ),
    # a list of kets, a nonlinear operator, products of operators
    "forms": training(
        """
        weight u : vector[d]
        weight W : matrix
        weight v : vector[2]
        |x1> = tanh(|u> @ xi)
        |z> = tanh(|x1> <x1|) |x1> + 0.3 * W^T W |x1>
        |x2> = |v> @ [W |z>, tanh(|z>)]
        return <1|x2>
        """,
        "optimizer adam(lr=0.1, eps=0.01)",
    ),
    # scalars that depend on the weights
    "tangent scalars": training(
        """
        weight u : vector[d]
        weight W : matrix
        weight v : vector
        |x1> = tanh(|u> @ xi)
        |h> = W |x1>
        s = 1 / sqrt(diag(<h|h>) + 0.1)
        |x2> = tanh(|h> * s)
        return <v|x2>
        """,
        "parametrization ntp\noptimizer adam(lr=0.1, eps=0.01)\ncentre",
        outputs="f, s[0] as first",
    ),
    # scalar weights and scalars of the run, put out over every step
    "scalars": training(
        """
        weight u : vector[d]
        weight W[2..3] : matrix
        weight c[2..3] : scalar = 0.9
        weight v : vector
        |x[1]> = tanh(|u> @ xi)
        for l in 2..3 {
          |h[l]> = W[l] |x[l-1]>
          s[l] = 1 / sqrt(diag(<h[l]|h[l]>) + 0.1)
          |x[l]> = c[l] * tanh(|h[l]> * s[l])
        }
        return <v|x[3]>
        """,
        "optimizer adam(lr=0.1, eps=0.01)",
        outputs="f, s, s[2] as second, c",
    ),
    "tangent norms": training(
        MLP.replace("weight v : vector", "weight v : vector\nweight b : vector[2]").replace(
            "|x[1]> = tanh(|u> @ xi)", "|x[1]> = tanh(|u> @ xi + |b[0]> - 0.5 * |b[1]>)"
        ),
        "parametrization ntp\noptimizer adam(lr=0.2, eps=0.01)\n"
        "optimizer sgd(lr=0.2) for W[2], b\nnormalize updates for W, b\nclip 0.3 for u\n"
        "normalize weights for v, W[3]\ncentre",
    ),
    # several axes, the inputs' not the last one
    "axes": training(
        """
        weight u : vector[d, 2]
        weight W : matrix
        weight v : vector[2]
        |x1> = tanh((xi^T @ |u>)^T)
        |x2> = tanh(W ([[0.8, 0.3], [-0.4, 0.6]] @ |x1>))
        |z> = |x2> * (1 + 0.1 * <x2[0]|x1[1]> @ [0.3, 0.2, 0.1])
        return |v> @ |z>
        """,
        "optimizer adam(lr=0.1, eps=0.01)",
    ),
    "attention": training(
        ATTENTION,
        "optimizer adam(lr=0.1, eps=0.01)",
    ),
    # weights decay: kets move with them
    "tangent decay": training(
        MLP,
        "parametrization ups(1/4)\noptimizer adamw(lr=0.2, eps=0.01, weight_decay=0.5)\n"
        "optimizer sgd(lr=0.3) for W[3]\ndecay 0.05 for v\nnormalize updates for u\nsteps 3\n"
        "start f0",
        outputs="f, <x[3]|x[3]> as nngp",
        head=f"{HEAD}data f0[M] = [0.1, 0.2, 0.3]\n",
    ),
    # the same where outputs share kets, with a schedule
    "tangent decay of heads": training(
        TWO.replace("v : vector", "v : vector[2]").replace("|x2> =", "|x2> = 0.5 * |x1> +"),
        "parametrization ups(1/4)\noptimizer adam(lr=rates[t], eps=0.01)\ndecay 0.2 * rates[t]\n"
        "error (f - [y, 2 * y]) * train",
        head=f"{HEAD}data rates[2] = [0.2, 0.3]\n",
    ),
}
