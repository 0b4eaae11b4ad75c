/* Exponential moving averages at memory speed.
 *
 *     average_i = beta * average_{i-1} + (1 - beta) * x_i,    average_{-1} = 0
 *
 * is a chain of dependent operations, about 6 cycles a value.  Unrolled by eight,
 *
 *     average_i = window_i + beta^8 * average_{i-8},    window_i = (1 - beta) * sum_{k<8} beta^k x_{i-k},
 *
 * it is eight chains side by side, and the windows come from three doublings without any chain:
 * w2_i = w1_i + beta w1_{i-1}, w4_i = w2_i + beta^2 w2_{i-2}, w8_i = w4_i + beta^4 w4_{i-4}.
 *
 * Bias correction divides by 1 - beta^(i+1).  That is the moving average of a series of ones, and is computed as such:
 * subtracting from 1 would cancel (relative error u / (1 - beta) at the first values); here nothing is subtracted.
 */
#ifndef LRCORE_SMOOTH_H
#define LRCORE_SMOOTH_H

#include "_kernels.h"

#define LR_LANES 8
#define LR_SMOOTH_BLOCK 1024 /* a multiple of the lanes; the four buffers stay in the L1 cache */

typedef struct {
    double weight, beta1, beta2, beta4, beta8;
    double inputs[LR_LANES];   /* the last eight, times the weight */
    double averages[LR_LANES]; /* the last eight */
} lr_average;

static lr_average lr_average_start(double beta)
{
    lr_average a;
    memset(&a, 0, sizeof a);
    a.weight = 1.0 - beta;
    a.beta1 = beta;
    a.beta2 = a.beta1 * a.beta1;
    a.beta4 = a.beta2 * a.beta2;
    a.beta8 = a.beta4 * a.beta4;
    return a;
}

/* out_i = in_i + factor * in_{i-lag} for i in [from, n); `in` and `out` have LR_LANES places before them. */
LR_CLONES static void lr_double_window(const double *LR_RESTRICT in, double factor, int32_t lag, int32_t from, int32_t n,
                                       double *LR_RESTRICT out)
{
    for (int32_t i = from; i < n; i++)
        out[i] = in[i] + factor * in[i - lag];
}

/* `n` is a multiple of the lanes, `last` the last averages. */
LR_CLONES static void lr_chain_windows(const double *LR_RESTRICT window, double beta8, int32_t n, double *LR_RESTRICT last,
                                       double *LR_RESTRICT out)
{
    double chain[LR_LANES];
    memcpy(chain, last, sizeof chain);
    for (int32_t i = 0; i < n; i += LR_LANES)
        for (int32_t k = 0; k < LR_LANES; k++) {
            chain[k] = window[i + k] + beta8 * chain[k];
            out[i + k] = chain[k];
        }
    memcpy(last, chain, sizeof chain);
}

/* The averages of the next n <= LR_SMOOTH_BLOCK inputs; without `in` each is 1. `out` has room for a whole block. */
static void lr_average_block(lr_average *a, const double *in, int32_t n, double *out)
{
    double room[2][LR_LANES + LR_SMOOTH_BLOCK];
    double *first = room[0] + LR_LANES, *second = room[1] + LR_LANES;
    int32_t padded = (n + LR_LANES - 1) / LR_LANES * LR_LANES;

    memcpy(room[0], a->inputs, sizeof a->inputs);
    if (in)
        memcpy(first, in, (size_t)n * sizeof *in);
    else
        lr_put(1.0, n, first);
    lr_put(0.0, padded - n, first + n);
    lr_scale_all(a->weight, n, first);
    memcpy(a->inputs, first + padded - LR_LANES, sizeof a->inputs);

    lr_double_window(first, a->beta1, 1, -6, padded, second);
    lr_double_window(second, a->beta2, 2, -4, padded, first);
    lr_double_window(first, a->beta4, 4, 0, padded, second);
    lr_chain_windows(second, a->beta8, padded, a->averages, out);
}

LR_CLONES static void lr_divide_all(const double *LR_RESTRICT by, int64_t n, double *LR_RESTRICT out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] /= by[i];
}

/* After this many steps beta^step is below 2^-60, and the correction rounds to 1. */
static int64_t lr_bias_steps(double beta)
{
    int64_t steps = 0;
    for (double left = beta; left > 0x1p-60 && steps < (1ll << 52); steps = 2 * steps + 1)
        left *= left;
    return steps + 1;
}

static void lr_smooth(const double *in, int64_t n, double beta, int correct_bias, double *out)
{
    double block[LR_SMOOTH_BLOCK];
    lr_average average = lr_average_start(beta), ones = average;
    int64_t biased = correct_bias ? lr_bias_steps(beta) : 0;
    for (int64_t done = 0; done < n; done += LR_SMOOTH_BLOCK) {
        int32_t run = n - done < LR_SMOOTH_BLOCK ? (int32_t)(n - done) : LR_SMOOTH_BLOCK;
        lr_average_block(&average, in + done, run, block);
        memcpy(out + done, block, (size_t)run * sizeof *out);
        if (done < biased) {
            lr_average_block(&ones, NULL, run, block);
            lr_divide_all(block, run, out + done);
        }
    }
}

#endif
