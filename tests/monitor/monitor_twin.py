"""A slow twin of the monitor's alarms: each is looked for in all losses so far, as its definition reads."""

import math

import numpy as np


def alarms(losses, prior=None, gradients=None, spreads=None, updates=None):
    """The first step of each alarm, by brute force over prefixes; without recoveries."""
    found = {}
    for end in range(1, len(losses) + 1):
        seen = losses[:end]
        if not math.isfinite(seen[-1]):
            found.setdefault("nonfinite", end - 1)
            continue
        finite = [loss for loss in seen if math.isfinite(loss)]
        dead = run_of_dead(seen, gradients, spreads)
        is_measured = spreads is not None and not np.isnan([*gradients[:end], *spreads[:end]]).all()
        if is_exploding(finite, prior):
            found.setdefault("exploding", end - 1)
        elif dead >= 8:
            found.setdefault("dead_network", end - 1)
        elif (
            (end - 1) % 5 == 0
            and prior is not None
            and is_stuck(finite, prior, dead, updates and updates[:end], is_measured)
        ):
            found.setdefault("stuck_at_prior", end - 1)
    return found


def is_exploding(losses, prior):
    start = begun_at(losses[:10]) if prior is None else max(losses[0], prior)
    last = losses[-10:]
    if len(last) < 10 or not all(loss > start + 3 * max(abs(start), 1e-12) for loss in last):
        return False
    floor = min(losses[0], 0.0)
    slopes = [(math.log(last[j] - floor) - math.log(last[i] - floor)) / (j - i) for j in range(10) for i in range(j)]
    return np.median(slopes) >= 0.0


def begun_at(first):
    """The median of the first ten, where nothing says that these explode already; at least the first."""
    if len(first) < 10 or first == sorted(first) or max(first) > 1000 * np.median(first):
        return first[0]
    logs = np.log(first)
    slope = np.median([(logs[j] - logs[i]) / (j - i) for j in range(1, 10) for i in range(1, j)])
    rest = logs[1:] - slope * np.arange(1, 10)
    has_jumped = np.median(logs[1:]) - logs[0] > 2 * np.ptp(rest)
    return first[0] if has_jumped else max(first[0], np.median(first))


def run_of_dead(seen, gradients, spreads):
    """How many updates up to now, in a row, have no gradient and one output for all; what was not measured is NaN."""
    if spreads is None:
        return 0
    count = 0
    for loss, gradient, spread in list(zip(seen, gradients, spreads))[::-1]:  # noqa: B905 (more are measured)
        if not math.isfinite(loss) or (math.isnan(spread) and math.isnan(gradient)):
            continue
        if spread > 1e-6 or gradient > 0.0:
            break
        count += 1
    return count


def is_stuck(losses, prior, dead, updates, is_measured):
    known = updates or []
    if max(losses) > 1.5 * prior or dead > 0 or any(update > 0.1 for update in known):
        wanted = 34 if dead > 0 or not is_measured else 100
    elif known and np.median(known[-20:]) < 3e-3:
        wanted = 200
    else:
        wanted = 100
    if len(losses) <= wanted:
        return False
    window = np.array(losses[-wanted:])
    (slope, _), covariance = np.polyfit(np.arange(wanted), window, 1, cov=True)
    return window.mean() >= 0.983 * prior and not slope < -2.5 * math.sqrt(covariance[0, 0])
