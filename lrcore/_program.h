/* A compiled schedule: a flat array of nodes (_nodes.h), and the two walks over it (_fill.h, _take.h), in tiles and blocks.
 *
 * The caller vouches for the nodes (_engine.pyx builds them from checked schedules): children come before their parents,
 * marks are sorted and begin with 0, steps lie in [0, 2^53).
 */
#ifndef LRCORE_PROGRAM_H
#define LRCORE_PROGRAM_H

#include "_take.h"

static void lr_fill_doubles(const lr_node *nodes, int32_t root, int64_t start, int64_t n, double *out, lr_frame *frames)
{
    for (int64_t run; n > 0; start += run, out += run, n -= run) {
        run = lr_least(n, LR_TILE);
        lr_fill(nodes, root, 1.0, start, run, out, frames);
    }
}

static void lr_fill_floats(const lr_node *nodes, int32_t root, int64_t start, int64_t n, float *out, lr_frame *frames)
{
    for (int64_t run; n > 0; start += run, out += run, n -= run) {
        run = lr_least(n, LR_BLOCK);
        lr_fill(nodes, root, 1.0, start, run, frames->value, frames + 1);
        lr_to_float_all(frames->value, run, out);
    }
}

static void lr_take_doubles(const lr_node *nodes, int32_t root, const int64_t *steps, int64_t n, double *out, lr_frame *frames)
{
    for (int64_t run; n > 0; steps += run, out += run, n -= run) {
        run = lr_least(n, LR_BLOCK);
        memcpy(frames->step, steps, (size_t)run * sizeof *steps);
        lr_take(nodes, root, 1.0, frames->step, (int32_t)run, out, frames + 1);
    }
}

#endif
