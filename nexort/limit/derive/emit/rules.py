"""Functions that modules bring along, as numpy source."""

PAIR_RULE = '''
NODES, INNER = 0.0625 * (np.arange(288) - 143.75), 0.0613 * (np.arange(296) - 147.75)
WEIGHTS, INNER_WEIGHTS = (
    (x[1] - x[0]) * np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi) for x in (NODES, INNER)
)
"""The trapezoidal rule for the standard normal law: for functions that are analytic in a strip
around the real line it converges geometrically (to 1e-13 for tanh and variances up to 25). No node
is at 0, where a quotient may be 0 / 0: a quarter of a step from there the first error of an even
function is 0, and that of twice the step is not."""


def gaussian_pair(f, g, p, c, q):
    """E f(y) g(z) for centred Gaussians of variances p, q and covariance c, entry by entry."""
    p, c, q = np.broadcast_arrays(p, c, q)
    root = np.sqrt(p)
    slope = np.divide(c, root, out=np.zeros(p.shape), where=root > 0)
    rest = np.sqrt(np.maximum(q - slope**2, 0))
    sums = np.zeros((len(NODES), 3, *p.shape))
    for k, node in enumerate(NODES):
        inner = g((slope * node)[..., None] + rest[..., None] * INNER)
        sums[k] = f(root * node) * sums_of(inner, INNER_WEIGHTS)
    total, off, size = np.moveaxis(sums, 0, -1)
    total, more, _ = sums_of(total, WEIGHTS)
    return checked(total, more + np.abs(off) @ WEIGHTS, np.abs(size) @ WEIGHTS)


def gaussian_mean(f, p):
    """E f(y) for a centred Gaussian of variance p, entry by entry."""
    return checked(*sums_of(f(np.sqrt(np.asarray(p))[..., None] * NODES), WEIGHTS))


def sums_of(values, weights):
    """The sum over the last axis; what twice the step changes, and the terms at the ends; the sum
    of the sizes."""
    terms = values * weights
    total, twice = terms.sum(-1), 2 * terms[..., ::2].sum(-1)
    ends = np.abs(terms[..., [0, -1]]).sum(-1)
    return np.array([total, np.abs(total - twice) + ends, np.abs(terms).sum(-1)])


def checked(total, off, size):
    """The total, where twice the step is right to 1e-5: then this one is to about 1e-10."""
    if not np.all(off <= 1e-5 * size):
        raise ArithmeticError("a function varies too fast at its variance for the trapezoidal rule")
    return total
'''

BIVARIATE_RULE = '''
RAY, RAY_WEIGHTS = np.polynomial.legendre.leggauss(40)


def bivariate(x, y, r, s):
    """P(u < x, v < y) for standard Gaussians u, v with correlation r and s = (1 - r^2)^(1/2) > 0,
    to the digits of small ones too."""
    x, y, r, s = np.broadcast_arrays(x, y, r, s)
    sign = np.where(r < 0, -1, 1)
    value = np.where((x > 0) & (y > 0), 1.0, 0.0)
    for a, b in ((x, y), (y, x)):
        across = (sign * a - b - sign * a * s**2 / (1 + np.abs(r))) / s
        value = value + np.where(a > 0, -1, 1) * sector(np.abs(a), np.clip(across, -1e100, 1e100))
    corner = 0.25 + np.arctan2(r, s) / (2 * np.pi)
    return np.where((x == 0) & (y == 0), corner, np.maximum(value, 0))


def sector(h, b):
    """P(u > h, h v > b u) for independent standard Gaussians u, v: by Owen's T function, far from 0
    as an integral over a ray."""
    slope = np.divide(b, h, out=np.asarray(np.copysign(np.inf, b)), where=h > 0)
    near = special.ndtr(-h) / 2 - special.owens_t(h, slope)
    size, total = np.abs(b), np.zeros(np.shape(h))
    length = np.minimum(9, 40 / np.maximum(size, 1))
    for node, weight in zip((RAY + 1) / 2, RAY_WEIGHTS / 2):
        step = length * node
        total = total + weight * np.exp(-step * (size + step / 2)) * h / (h**2 + (size + step) ** 2)
    ray = np.exp(-(h**2 + size**2) / 2) * length * total / (2 * np.pi)
    return np.where(h**2 + size**2 < 4, near, np.where(b < 0, special.ndtr(-h) - ray, ray))
'''

RATIO = '''
def ratio(a, b):
    """a / b, 0 where b is 0: E[z f(y)] = <z|y> E[y f(y)] / <y|y> is 0 for y = 0."""
    a, b = np.broadcast_arrays(a, b)
    return np.divide(a, b, out=np.zeros(b.shape), where=b > 0)
'''
