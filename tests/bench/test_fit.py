"""The numbers of _arithmetic.h and _kernels.h are those that bench/fit_polynomials.py computes, to the last digit."""

import re
from pathlib import Path

import pytest

from bench import fit_polynomials as fit

LRCORE = Path(__file__).parents[2] / "lrcore"
HEADER = (LRCORE / "_arithmetic.h").read_text() + (LRCORE / "_kernels.h").read_text()

# A coefficient has a fraction; powers of two (0x1p52), exponents' biases and the rounder (0x1.8p52) are no
# coefficients.
COEFFICIENT = re.compile(r"-?0x1\.[0-9a-f]{2,}p[+-]\d+")
PAIR = re.compile(r"const lr_pair (\w+) = \{([^}]*)\};")
DIGITS = re.compile(r"(?<=0x1\.)[0-9a-f]{2,}(?=p)")


def numbers(text):
    return [float.fromhex(number) for number in COEFFICIENT.findall(text)]


def body(name, header=HEADER):
    """The text of a C function or an array, without its comments and pairs."""
    function = rf"^(?:LR_INLINE|static) [^;{{]*\b{name}\([^)]*\)\s*\{{(.*?)^\}}"
    values = rf"^static const double {name}\[\d+\] = \{{(.*?)\}};"
    found = re.search(values if name.isupper() else function, header, re.MULTILINE | re.DOTALL)
    assert found, f"no header has {name}"
    return PAIR.sub("", re.sub(r"/\*.*?\*/", "", found.group(1), flags=re.DOTALL))


def pairs(header=HEADER):
    """Every lr_pair with two numbers in braces."""
    return {name: tuple(numbers(parts)) for name, parts in PAIR.findall(header)}


def expected(case):
    """The numbers of the function in the order of its text."""
    return fit.coefficients(case)[int(case.is_lead_a_pair) :]


@pytest.mark.parametrize("case", fit.FITS, ids=lambda case: case.where)
def test_polynomials_are_those_of_the_fit(case):
    assert numbers(body(case.where)) == expected(case)


@pytest.mark.parametrize(("case", "lead"), [(fit.COSINE, "LR_SIN2_LEAD"), (fit.LOGARITHM, "LR_ATANH_LEAD")])
def test_a_lead_that_is_a_pair_begins_as_the_fitted_one(case, lead):
    assert fit.coefficients(case)[0] == fit.pair(fit.PAIRS[lead])[0]


def test_pairs_are_those_of_the_constants():
    assert pairs() == {name: fit.pair(number) for name, number in fit.PAIRS.items()}


@pytest.mark.parametrize("case", fit.FITS, ids=lambda case: case.where)
def test_stated_errors_are_the_computed_ones(case):
    with fit.mpmath.workprec(fit.BITS):
        error = fit.relative_error(case, fit.exact_coefficients(case))
    assert f"relative error {error:.1e}" in re.sub(r"\s*\n\s*\*?\s*", " ", HEADER)


def test_no_number_of_the_header_is_left_out():
    known = [number for case in fit.FITS for number in numbers(body(case.where))]
    known += [number for parts in pairs().values() for number in parts]
    assert set(numbers(re.sub(r"/\*.*?\*/", "", HEADER, flags=re.DOTALL))) == set(known)


@pytest.mark.parametrize("case", fit.FITS, ids=lambda case: case.where)
def test_a_changed_digit_would_be_seen(case):
    text = body(case.where)
    wanted = expected(case)
    for found in DIGITS.finditer(text):
        for at in (found.start(), found.end() - 1):
            changed = text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :]
            assert numbers(changed) != wanted


@pytest.mark.parametrize("case", fit.FITS, ids=lambda case: case.where)
def test_the_fit_is_close_to_the_function(case):
    """Within the half ulp of a double that the rounding of the first coefficient may cost."""
    assert fit.relative_error(case, fit.coefficients(case)) < 2.0**-53
    assert len(fit.coefficients(case)) == case.degree + 1
