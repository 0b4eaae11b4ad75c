/* Exponential moving averages at memory speed.
 *
 *     average_i = beta * average_{i-1} + (1 - beta) * x_i,    average_{-1} = 0
 *
 * is a chain of dependent operations, 6 cycles a value.  Unrolled by eight,
 *
 *     average_i = sum_{k<8} (1 - beta) beta^k x_{i-k} + beta^8 average_{i-8},
 *
 * it is eight chains side by side, whose sums do not wait for each other; and the sum of eight is one of four and, four
 * places back, beta^4 times another.  Measured in cache: 0.7 ns a value against 2.1 ns for the plain chain.
 *
 * Bias correction divides by 1 - beta^(i+1), taken from the exponential curve's kernel: it keeps its relative accuracy at the
 * first values, where subtracting a power from 1 would cancel.
 */
#ifndef LRCORE_SMOOTH_H
#define LRCORE_SMOOTH_H

#include "_kernels.h"

#define LR_LANES 8

typedef struct {
    double tap[LR_LANES / 2]; /* (1 - beta) beta^k */
    double beta4;
    lr_pair beta8; /* one number would be off by u, and its effect is multiplied by 1 / (1 - beta^8) */
} lr_average;

typedef struct {
    lr_average average;
    double last[LR_LANES]; /* the eight averages before */
} lr_smoother;

static lr_average lr_average_of(double beta)
{
    double weight = 1.0 - beta;
    lr_pair beta2 = lr_two_prod(beta, beta), beta4 = lr_pair_times(beta2, beta2);
    lr_average a = {{weight, weight * beta, weight * beta2.hi, weight * (beta2.hi * beta)},
                    beta4.hi,
                    lr_pair_times(beta4, beta4)};
    return a;
}

static lr_smoother lr_smoother_of(double beta)
{
    lr_smoother s;
    memset(&s, 0, sizeof s);
    s.average = lr_average_of(beta);
    return s;
}

#define LR_SMOOTH_BLOCK 512 /* 4 KiB of sums, within the L1 cache; a multiple of the lanes */

LR_CLONES static void lr_sum_fours(const lr_average *average, const double *LR_RESTRICT x, int32_t n,
                                   double *LR_RESTRICT out)
{
    const lr_average a = *average;
    for (int32_t i = 0; i < n; i++)
        out[i] = (a.tap[0] * x[i] + a.tap[1] * x[i - 1]) + (a.tap[2] * x[i - 2] + a.tap[3] * x[i - 3]);
}

/* Sums of four, four of them before `fours`, to averages; n is a multiple of the lanes. */
LR_CLONES static void lr_chain_fours(const lr_average *average, const double *LR_RESTRICT fours, int32_t n,
                                     double *LR_RESTRICT last, double *LR_RESTRICT out)
{
    const lr_average a = *average;
    double chain[LR_LANES];
    memcpy(chain, last, sizeof chain);
    for (int32_t i = 0; i < n; i += LR_LANES)
        for (int32_t k = 0; k < LR_LANES; k++) {
            double window = fours[i + k] + a.beta4 * fours[i + k - 4];
            chain[k] = (window + a.beta8.lo * chain[k]) + a.beta8.hi * chain[k];
            out[i + k] = chain[k];
        }
    memcpy(last, chain, sizeof chain);
}

/* n averages, n a multiple of the lanes. Seven inputs stand before x, and `last` holds the eight averages before. Sums and
 * chain are loops of their own: GCC 12 vectorises neither when they are one (3.1 ns a value). */
static void lr_average_lanes(const lr_average *a, const double *x, int64_t n, double *last, double *out)
{
    double fours[4 + LR_SMOOTH_BLOCK];
    for (int64_t run; n > 0; x += run, out += run, n -= run) {
        run = n < LR_SMOOTH_BLOCK ? n : LR_SMOOTH_BLOCK;
        lr_sum_fours(a, x - 4, (int32_t)run + 4, fours);
        lr_chain_fours(a, fours + 4, (int32_t)run, last, out);
    }
}

/* Up to eight averages, through a copy that has zeros where there is no input. `before` inputs stand before x. */
static void lr_average_few(const lr_average *a, const double *x, int64_t before, int64_t n, double *last, double *out)
{
    double inputs[2 * LR_LANES] = {0.0}, averages[LR_LANES];
    int64_t past = before < LR_LANES ? before : LR_LANES;
    memcpy(inputs + LR_LANES - past, x - past, (size_t)(past + n) * sizeof *x);
    lr_average_lanes(a, inputs + LR_LANES, LR_LANES, last, averages);
    memcpy(out, averages, (size_t)n * sizeof *out);
}

/* Inputs [done, done + n) of a run, of which the ones before have been averaged; done is a multiple of the lanes, and so is n
 * unless the run ends with it. */
static void lr_smooth_part(lr_smoother *s, const double *in, int64_t done, int64_t n, double *out)
{
    int64_t first = done > 0 ? 0 : (n < LR_LANES ? n : LR_LANES);
    int64_t lanes = (n - first) / LR_LANES * LR_LANES, rest = n - first - lanes;
    if (first > 0)
        lr_average_few(&s->average, in, 0, first, s->last, out);
    lr_average_lanes(&s->average, in + done + first, lanes, s->last, out + done + first);
    if (rest > 0)
        lr_average_few(&s->average, in + done + first + lanes, LR_LANES, rest, s->last, out + done + first + lanes);
}

/* out_i /= 1 - beta^(i+1) for i in [start, start + n), `curve` being the exponential decay with rate beta. */
LR_CLONES static void lr_divide_by_weights(const lr_curve *curve, double start, int32_t n, double *LR_RESTRICT out)
{
    const lr_curve c = *curve;
    for (int32_t i = 0; i < n; i++) {
        double x = start + 1.0 + (double)i;
        out[i] /= lr_complement(lr_exp2_parts(x * c.a, x * c.b));
    }
}

/* The correction of values [start, start + n). Where beta^i is below 2^-60 it divides by 1. */
static void lr_correct_bias(double beta, int64_t start, int64_t n, double *out)
{
    if (beta < 0x1p-60)
        return;
    lr_curve decay;
    lr_prepare(&decay, LR_EXPONENTIAL_DECAY, 1.0, 0.0, 1.0, beta);
    double biased = 60.0 / -(decay.a + decay.b) - (double)start;
    if (biased > 0.0)
        lr_divide_by_weights(&decay, (double)start, (int32_t)lr_min((double)n, biased), out + start);
}

#endif
