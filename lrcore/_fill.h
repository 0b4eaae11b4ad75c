/* Consecutive steps: the walk that is made once per range.
 *
 * A sequence cuts the range at its boundaries, a cycle at its restarts, a staircase at its stairs, until what is left is one
 * curve over a run of indices. A single value is a range of one.
 */
#ifndef LRCORE_FILL_H
#define LRCORE_FILL_H

#include "_nodes.h"

static void lr_fill(const lr_node *nodes, int32_t id, double scale, int64_t start, int64_t n, double *out, lr_frame *frame);
static void lr_take(const lr_node *nodes, int32_t id, double scale, int64_t *step, int32_t n, double *out, lr_frame *frame);

static double lr_value(const lr_node *nodes, int32_t id, double scale, int64_t step)
{
    double value;
    lr_fill(nodes, id, scale, step, 1, &value, NULL);
    return value;
}

static int64_t lr_least(int64_t a, int64_t b) { return a < b ? a : b; }

static double lr_datum(const lr_node *node, int64_t at)
{
    return node->is_float ? (double)((const float *)node->data)[at] : ((const double *)node->data)[at];
}

static void lr_copy_data(const lr_node *node, int64_t from, int64_t n, double *out)
{
    if (node->is_float)
        lr_from_float_all((const float *)node->data + from, n, out);
    else
        memcpy(out, (const double *)node->data + from, (size_t)n * sizeof *out);
}

static void lr_fill_table(const lr_node *node, double scale, int64_t start, int64_t n, double *out)
{
    int64_t last = node->data_count - 1;
    if (scale == 1.0) {
        int64_t inner = start <= last ? lr_least(n, last + 1 - start) : 0;
        if (inner > 0)
            lr_copy_data(node, start, inner, out);
        lr_put(lr_datum(node, last), n - inner, out + inner);
        return;
    }
    for (int64_t at = lr_entry_of(start, last, scale); n > 0; at++) {
        int64_t run = at < last ? lr_least(n, lr_scaled(at + 1, scale) - start) : n;
        lr_put(lr_datum(node, at), run, out);
        start += run, out += run, n -= run;
    }
}

static void lr_fill_pieces(const lr_node *node, double scale, int64_t start, int64_t n, double *out)
{
    for (int64_t at = lr_mark_of(node->marks, node->mark_count, scale, start); n > 0; at++) {
        int64_t end = at + 1 < node->mark_count ? lr_scaled(node->marks[at + 1], scale) : LR_FAR_STEP;
        int64_t run = lr_least(n, end - start);
        lr_put(lr_datum(node, at), run, out);
        start += run, out += run, n -= run;
    }
}

static void lr_fill_sequence(const lr_node *nodes, const lr_node *node, double scale, int64_t start, int64_t n, double *out,
                             lr_frame *frame)
{
    for (int64_t at = lr_mark_of(node->marks, node->mark_count, scale, start); n > 0; at++) {
        lr_stage part = lr_part(node, scale, at);
        int64_t run = lr_least(n, part.end - start);
        if (run > 0)
            lr_fill(nodes, node->children[at], part.scale, start - part.begin, run, out, frame);
        start += run, out += run, n -= run;
    }
}

static void lr_reverse(int64_t n, double *out)
{
    for (int64_t i = 0; i < n / 2; i++) {
        double swap = out[i];
        out[i] = out[n - 1 - i];
        out[n - 1 - i] = swap;
    }
}

/* Steps [local, local + n) of one cycle, which do not pass its end. */
static void lr_fill_cycle_run(const lr_node *nodes, const lr_node *node, const lr_stage *cycle, int64_t local, int64_t n,
                              double *out, lr_frame *frame)
{
    int64_t length = cycle->end - cycle->begin;
    int64_t half = node->is_mirror ? (length + 1) / 2 : length;
    int64_t forward = local < half ? lr_least(n, half - local) : 0;
    int64_t backward = n - forward;
    if (forward > 0)
        lr_fill(nodes, node->children[0], cycle->scale, local, forward, out, frame);
    if (backward > 0) {
        int64_t lowest = length - (local + n - 1);
        lr_fill(nodes, node->children[0], cycle->scale, lowest, backward, out + forward, frame);
        lr_reverse(backward, out + forward);
    }
}

static void lr_fill_cycles(const lr_node *nodes, const lr_node *node, double scale, int64_t start, int64_t n, double *out,
                           lr_frame *frame)
{
    while (n > 0) {
        lr_stage cycle = lr_cycle(node, scale, start);
        int64_t run = cycle.is_held ? n : lr_least(n, cycle.end - start);
        if (cycle.is_held)
            lr_put(lr_value(nodes, node->children[0], 1.0, lr_cycle_local(node, &cycle, 0)), run, out);
        else
            lr_fill_cycle_run(nodes, node, &cycle, start - cycle.begin, run, out, frame);
        if (node->child_count > 1)
            lr_scale_all(lr_value(nodes, node->children[1], 1.0, cycle.number), run, out);
        start += run, out += run, n -= run;
    }
}

static void lr_combine(int32_t kind, const double *with, int64_t n, double *out)
{
    (kind == LR_PRODUCT ? lr_multiply_all : lr_add_all)(with, n, out);
}

static void lr_fill_combined(const lr_node *nodes, const lr_node *node, double scale, int64_t start, int64_t n, double *out,
                             lr_frame *frame)
{
    double single, *other = n == 1 ? &single : frame->value;
    lr_frame *below = n == 1 ? NULL : frame + 1;
    while (n > 0) {
        int64_t run = lr_least(n, LR_BLOCK);
        lr_fill(nodes, node->children[0], scale, start, run, out, below);
        for (int32_t k = 1; k < node->child_count; k++) {
            lr_fill(nodes, node->children[k], scale, start, run, other, below);
            lr_combine(node->kind, other, run, out);
        }
        start += run, out += run, n -= run;
    }
}

/* Up to a block of stairs: the values at their begins are scattered steps of the child, then each is spread. */
static void lr_fill_stairs(const lr_node *nodes, const lr_node *node, double scale, int64_t start, int64_t n, double *out,
                           lr_frame *frame)
{
    int64_t every = (int64_t)node->span;
    int64_t stair = lr_interval_of(start, every, scale);
    while (n > 0) {
        int64_t begins[2] = {lr_interval_begin(stair, every, scale), lr_interval_begin(stair + 1, every, scale)};
        if (start + n <= begins[1]) {
            lr_put(lr_value(nodes, node->children[0], scale, begins[0]), n, out);
            return;
        }
        int32_t count = 0;
        for (int64_t begin = begins[0]; count < LR_BLOCK && begin < start + n;) {
            frame->step[count++] = begin;
            begin = lr_interval_begin(stair + count, every, scale);
        }
        lr_take(nodes, node->children[0], scale, frame->step, count, frame->value, frame + 1);
        for (int32_t k = 0; k < count; k++) {
            int64_t end = lr_least(start + n, lr_interval_begin(stair + k + 1, every, scale));
            int64_t run = end - start;
            lr_put(frame->value[k], run, out);
            start += run, out += run, n -= run;
        }
        stair += count;
    }
}

/* The signed shift in stretched steps. Time begins at 0 and stands still at the last valid step. */
static int64_t lr_shift_of(const lr_node *node, double scale)
{
    return node->span < 0 ? -lr_rounded(-node->span * scale) : lr_rounded(node->span * scale);
}

static void lr_fill_shifted(const lr_node *nodes, const lr_node *node, double scale, int64_t start, int64_t n, double *out,
                            lr_frame *frame)
{
    int64_t at = start + lr_shift_of(node, scale);
    int64_t held = at < 0 ? lr_least(n, -at) : 0;
    if (held > 0)
        lr_put(lr_value(nodes, node->children[0], scale, 0), held, out);
    at += held, out += held, n -= held;
    int64_t inner = at <= LR_LAST_STEP ? lr_least(n, LR_LAST_STEP + 1 - at) : 0;
    if (inner > 0)
        lr_fill(nodes, node->children[0], scale, at, inner, out, frame);
    if (n > inner)
        lr_put(lr_value(nodes, node->children[0], scale, LR_LAST_STEP), n - inner, out + inner);
}

/* `n` values from `start` on; n <= LR_TILE. A range of one touches no frame. */
static void lr_fill(const lr_node *nodes, int32_t id, double scale, int64_t start, int64_t n, double *out, lr_frame *frame)
{
    const lr_node *node = nodes + id;
    if (node->kind <= LR_LAST_CURVE) {
        lr_curve room;
        lr_curve_range(lr_curve_of(node, scale, &room), start, (int32_t)n, out);
        return;
    }
    switch (node->kind) {
    case LR_TABLE:
        lr_fill_table(node, scale, start, n, out);
        break;
    case LR_PIECEWISE:
        lr_fill_pieces(node, scale, start, n, out);
        break;
    case LR_SEQUENCE:
        lr_fill_sequence(nodes, node, scale, start, n, out, frame);
        break;
    case LR_CYCLE:
        lr_fill_cycles(nodes, node, scale, start, n, out, frame);
        break;
    case LR_PRODUCT:
    case LR_SUM:
        lr_fill_combined(nodes, node, scale, start, n, out, frame);
        break;
    case LR_SCALE:
        lr_fill(nodes, node->children[0], scale, start, n, out, frame);
        lr_scale_all(node->init, n, out);
        break;
    case LR_CLIP:
        lr_fill(nodes, node->children[0], scale, start, n, out, frame);
        lr_clip_all(node->init, node->end, n, out);
        break;
    case LR_STAIRCASE:
        lr_fill_stairs(nodes, node, scale, start, n, out, frame);
        break;
    case LR_SHIFT:
        lr_fill_shifted(nodes, node, scale, start, n, out, frame);
        break;
    case LR_STRETCH:
        lr_fill(nodes, node->children[0], lr_bounded_scale(scale * node->init), start, n, out, frame);
        break;
    default: /* LR_MAP_... */
        lr_fill(nodes, node->children[0], scale, start, n, out, frame);
        lr_map_all(node->kind, node->shape, n, out);
        break;
    }
}

#endif
