"""The numbers of lrcore/_arithmetic.h and _kernels.h: polynomials close to three functions, and constants in two parts.

`python -m bench.fit_polynomials` prints them as C writes them, with their errors. All is computed with 300 bits, from
which each number is rounded once; tests/bench/test_fit.py holds the header to them.

Each polynomial goes through its function at the Chebyshev nodes of the interval, which is nearly the best there is.
Its error is given twice: as fitted, and with the coefficients rounded to doubles. The second is the larger, nearly all
of it from the first coefficient, and the kernels make it good: they carry that one as a pair, or add 1 to 2^r - 1.
"""

from collections.abc import Callable
from dataclasses import dataclass

import mpmath
from mpmath import mpf

BITS = 300
PROBES = 1000  # where the error is looked at: between the nodes, of which there are about ten

Function = Callable[[mpf], mpf]


@dataclass(frozen=True)
class Fit:
    """A function, and the interval and degree of the polynomial in its place."""

    name: str
    where: str  # the function of the header that evaluates it
    function: Function
    interval: Callable[[], tuple[mpf, mpf]]  # a function, because it is computed with BITS bits
    degree: int
    is_lead_a_pair: bool = False  # the function has the coefficients after the first, which is one of PAIRS


def half_sine_squared(u: mpf) -> mpf:
    """sin²(π/2 √u) / u"""
    return mpmath.sin(mpmath.pi / 2 * mpmath.sqrt(u)) ** 2 / u


def power_of_two(r: mpf) -> mpf:
    """(2^r - 1) / r"""
    return mpmath.expm1(r * mpmath.log(2)) / r


def log_tail(t: mpf) -> mpf:
    """(2/ln 2 · atanh(s)/s - 2/ln 2) / s², t = s²"""
    s = mpmath.sqrt(t)
    return 2 / mpmath.log(2) * (mpmath.atanh(s) / s - 1) / t


def _largest_quotient() -> mpf:
    """(z - 1) / (z + 1) at z = √2, squared."""
    return (3 - mpmath.sqrt(8)) ** 2


# The last two intervals are wider than what the kernels ask for: r is at most 1/2 until its low part is
# added, and a quotient near √2 is rounded. None of the nodes is 0, where the functions are not defined.
COSINE = Fit("sin²(π/2 √u) / u", "LR_SIN2_REST", half_sine_squared, lambda: (mpf(0), mpf(1) / 4), 7, True)
POWER = Fit("(2^r - 1) / r", "lr_exp2_minus_1", power_of_two, lambda: (mpf("-0.501"), mpf("0.5013")), 10)
LOGARITHM = Fit(
    "2/ln 2 (1/3 + t/5 + t²/7 + ...)",
    "lr_atanh_rest",
    log_tail,
    lambda: (mpf(0), mpf("1.01") * _largest_quotient()),
    7,
    True,
)
FITS = [COSINE, POWER, LOGARITHM]

# By their names in the header. The lead of the cosine is (π/2)² itself, from which the fit's differs in its 17th digit.
PAIRS: dict[str, Callable[[], mpf]] = {
    "LR_LOG2_E": lambda: 1 / mpmath.log(2),
    "LR_LN_2": lambda: mpmath.log(2),
    "LR_TWO_LOG2_E": lambda: 2 / mpmath.log(2),
    "LR_ATANH_LEAD": lambda: exact_coefficients(LOGARITHM)[0],
    "LR_SIN2_LEAD": lambda: (mpmath.pi / 2) ** 2,
}


def nodes(fit: Fit) -> list[mpf]:
    low, high = fit.interval()
    middle, radius = (low + high) / 2, (high - low) / 2
    count = fit.degree + 1
    return [middle + radius * mpmath.cos(mpmath.pi * (2 * k + 1) / (2 * count)) for k in range(count)]


def exact_coefficients(fit: Fit) -> list[mpf]:
    """The polynomial through the function's values at the nodes, lowest power first."""
    at = nodes(fit)
    powers = mpmath.matrix([[x**k for k in range(fit.degree + 1)] for x in at])
    return list(mpmath.lu_solve(powers, mpmath.matrix([fit.function(x) for x in at])))


def coefficients(fit: Fit) -> list[float]:
    with mpmath.workprec(BITS):
        return [float(c) for c in exact_coefficients(fit)]


def relative_error(fit: Fit, terms: list[mpf] | list[float]) -> float:
    """The largest on the interval, of the polynomial with these coefficients."""
    with mpmath.workprec(BITS):
        low, high = fit.interval()
        places = [low + (high - low) * (k + mpf(1) / 2) / PROBES for k in range(PROBES)]
        return float(max(abs(mpmath.polyval(terms[::-1], x) / fit.function(x) - 1) for x in places))


def pair(number: Callable[[], mpf]) -> tuple[float, float]:
    """A number as the nearest double and the double nearest to what is left."""
    with mpmath.workprec(BITS):
        exact = number()
        high = float(exact)
        return high, float(exact - high)


def main() -> None:
    for fit in FITS:
        with mpmath.workprec(BITS):
            fitted = relative_error(fit, exact_coefficients(fit))
        rounded = coefficients(fit)
        low, high = fit.interval()
        print(f"{fit.name} on [{float(low):g}, {float(high):g}], degree {fit.degree}:")
        print(f"relative error {fitted:.1e}, with rounded coefficients {relative_error(fit, rounded):.1e}")
        print("".join(f"    {c.hex()},\n" for c in rounded))
    for name, number in PAIRS.items():
        print(f"{name} = {{{', '.join(part.hex() for part in pair(number))}}}")


if __name__ == "__main__":
    main()
