/* Scattered steps: the walk that is made once per block.
 *
 * What belongs to the same part of a sequence or to the same cycle is brought together, evaluated by one loop, and put back.
 */
#ifndef LRCORE_TAKE_H
#define LRCORE_TAKE_H

#include "_fill.h"

/* Sorts the positions 0..n-1 by key, stable, and returns where the order stands. A pass of counting makes each count wait for
 * the one before where most keys are equal; for a few keys, collecting the positions of each is faster (4 against 1 ns). */
static const int32_t *lr_order_by_key(int32_t n, int32_t largest, lr_frame *frame)
{
    int32_t *from = frame->order[0], *to = frame->order[1], collected = 0;
    if (largest < LR_FEW) {
        for (int32_t key = 0; key <= largest; key++)
            for (int32_t i = 0; i < n && collected < n; i++) {
                to[collected] = i;
                collected += frame->key[i] == key;
            }
        return to;
    }
    for (int32_t i = 0; i < n; i++)
        from[i] = i;
    for (int32_t shift = 0; shift < 32 && (largest >> shift) > 0; shift += 8) {
        int32_t first[257] = {0};
        for (int32_t i = 0; i < n; i++)
            first[((frame->key[i] >> shift) & 255) + 1]++;
        for (int32_t digit = 1; digit < 256; digit++)
            first[digit] += first[digit - 1];
        for (int32_t i = 0; i < n; i++)
            to[first[(frame->key[from[i]] >> shift) & 255]++] = from[i];
        int32_t *swap = from;
        from = to, to = swap;
    }
    return from;
}

/* The stage of a sequence or of marked cycles with the given number, one beyond the last for what holds after the cycles. */
static lr_stage lr_stage_of(const lr_node *node, double scale, int32_t number)
{
    if (node->kind == LR_SEQUENCE)
        return lr_part(node, scale, number);
    return lr_cycle(node, scale, number < node->mark_count - 1 ? lr_scaled(node->marks[number], scale) : LR_FAR_STEP);
}

/* Each stage that occurs in frame->key evaluates its own steps, which are local to it already, in one go. */
static void lr_take_stages(const lr_node *nodes, const lr_node *node, double scale, const int64_t *step, int32_t n,
                           int32_t largest, double *out, lr_frame *frame)
{
    const int32_t *order = lr_order_by_key(n, largest, frame);
    for (int32_t i = 0; i < n; i++)
        frame->step[i] = step[order[i]];
    for (int32_t first = 0; first < n;) {
        int32_t key = frame->key[order[first]], last = first;
        while (last < n && frame->key[order[last]] == key)
            last++;
        int32_t child = node->kind == LR_SEQUENCE ? node->children[key] : node->children[0];
        double child_scale = lr_stage_of(node, scale, key).scale;
        lr_take(nodes, child, child_scale, frame->step + first, last - first, frame->value + first, frame + 1);
        first = last;
    }
    for (int32_t i = 0; i < n; i++)
        out[order[i]] = frame->value[i];
}

/* How many of the boundaries after the first each step has reached. Few boundaries are counted one after another, which
 * vectorises; many are searched. */
LR_CLONES static void lr_count_reached(const int64_t *begins, int32_t count, const int64_t *LR_RESTRICT step, int32_t n,
                                       int32_t *LR_RESTRICT key)
{
    for (int32_t i = 0; i < n; i++)
        key[i] = 0;
    for (int32_t k = 1; k < count; k++)
        for (int32_t i = 0; i < n; i++)
            key[i] += begins[k] <= step[i];
}

static void lr_take_sequence(const lr_node *nodes, const lr_node *node, double scale, int64_t *step, int32_t n, double *out,
                             lr_frame *frame)
{
    int64_t begins[LR_FEW];
    int32_t count = (int32_t)node->mark_count;
    if (count <= LR_FEW) {
        for (int32_t k = 0; k < count; k++)
            begins[k] = lr_scaled(node->marks[k], scale);
        lr_count_reached(begins, count, step, n, frame->key);
        for (int32_t i = 0; i < n; i++)
            step[i] -= begins[frame->key[i]];
    } else {
        for (int32_t i = 0; i < n; i++) {
            frame->key[i] = (int32_t)lr_mark_of(node->marks, count, scale, step[i]);
            step[i] -= lr_scaled(node->marks[frame->key[i]], scale);
        }
    }
    lr_take_stages(nodes, node, scale, step, n, count - 1, out, frame);
}

/* All cycles have one length, hence one scale. */
static void lr_take_equal_cycles(const lr_node *nodes, const lr_node *node, int64_t *step, int32_t n, double *out,
                                 lr_frame *frame)
{
    for (int32_t i = 0; i < n; i++) {
        lr_stage cycle = lr_cycle_bounds(node, 1.0, step[i]);
        frame->index[i] = (double)cycle.number;
        step[i] = lr_cycle_local(node, &cycle, step[i] - cycle.begin);
    }
    lr_take(nodes, node->children[0], 1.0, step, n, out, frame + 1);
}

static void lr_take_marked_cycles(const lr_node *nodes, const lr_node *node, double scale, int64_t *step, int32_t n,
                                  double *out, lr_frame *frame)
{
    for (int32_t i = 0; i < n; i++) {
        lr_stage cycle = lr_cycle_bounds(node, scale, step[i]);
        frame->index[i] = (double)cycle.number;
        frame->key[i] = (int32_t)cycle.number + cycle.is_held;
        step[i] = lr_cycle_local(node, &cycle, step[i] - cycle.begin);
    }
    lr_take_stages(nodes, node, scale, step, n, (int32_t)node->mark_count - 1, out, frame);
}

/* Cycles of one length that a stretch makes unequal by a step: as many scales as cycles, so one by one. */
static void lr_take_one_by_one(const lr_node *nodes, int32_t id, double scale, const int64_t *step, int32_t n, double *out)
{
    for (int32_t i = 0; i < n; i++)
        out[i] = lr_value(nodes, id, scale, step[i]);
}

static void lr_take_cycles(const lr_node *nodes, int32_t id, double scale, int64_t *step, int32_t n, double *out,
                           lr_frame *frame)
{
    const lr_node *node = nodes + id;
    if (node->marks) {
        lr_take_marked_cycles(nodes, node, scale, step, n, out, frame);
    } else if (scale == 1.0) {
        lr_take_equal_cycles(nodes, node, step, n, out, frame);
    } else {
        lr_take_one_by_one(nodes, id, scale, step, n, out);
        return;
    }
    if (node->child_count > 1) {
        lr_curve_each(&nodes[node->children[1]].curve, frame->index, n, frame->value);
        lr_multiply_all(frame->value, n, out);
    }
}

static void lr_take_combined(const lr_node *nodes, const lr_node *node, double scale, const int64_t *step, int32_t n,
                             double *out, lr_frame *frame)
{
    for (int32_t k = 0; k < node->child_count; k++) {
        memcpy(frame->step, step, (size_t)n * sizeof *step);
        lr_take(nodes, node->children[k], scale, frame->step, n, k == 0 ? out : frame->value, frame + 1);
        if (k > 0)
            lr_combine(node->kind, frame->value, n, out);
    }
}

static void lr_take_shifted(const lr_node *nodes, const lr_node *node, double scale, int64_t *step, int32_t n, double *out,
                            lr_frame *frame)
{
    int64_t shift = lr_shift_of(node, scale);
    for (int32_t i = 0; i < n; i++) {
        int64_t at = step[i] + shift;
        step[i] = at < 0 ? 0 : lr_least(at, LR_LAST_STEP);
    }
    lr_take(nodes, node->children[0], scale, step, n, out, frame);
}

static void lr_take_data(const lr_node *node, double scale, const int64_t *step, int32_t n, double *out)
{
    int64_t last = node->data_count - 1;
    for (int32_t i = 0; i < n; i++) {
        int64_t at = node->kind == LR_TABLE ? lr_entry_of(step[i], last, scale)
                                            : lr_mark_of(node->marks, node->mark_count, scale, step[i]);
        out[i] = lr_datum(node, at);
    }
}

/* The values at n <= LR_BLOCK steps, which it may overwrite. */
static void lr_take(const lr_node *nodes, int32_t id, double scale, int64_t *step, int32_t n, double *out, lr_frame *frame)
{
    const lr_node *node = nodes + id;
    if (node->kind <= LR_LAST_CURVE) {
        lr_curve room;
        lr_to_double_all(step, n, frame->index);
        lr_curve_each(lr_curve_of(node, scale, &room), frame->index, n, out);
        return;
    }
    switch (node->kind) {
    case LR_TABLE:
    case LR_PIECEWISE:
        lr_take_data(node, scale, step, n, out);
        break;
    case LR_SEQUENCE:
        lr_take_sequence(nodes, node, scale, step, n, out, frame);
        break;
    case LR_CYCLE:
        lr_take_cycles(nodes, id, scale, step, n, out, frame);
        break;
    case LR_PRODUCT:
    case LR_SUM:
        lr_take_combined(nodes, node, scale, step, n, out, frame);
        break;
    case LR_SCALE:
        lr_take(nodes, node->children[0], scale, step, n, out, frame);
        lr_scale_all(node->init, n, out);
        break;
    case LR_CLIP:
        lr_take(nodes, node->children[0], scale, step, n, out, frame);
        lr_clip_all(node->init, node->end, n, out);
        break;
    case LR_STAIRCASE:
        for (int32_t i = 0; i < n; i++)
            step[i] = lr_interval_begin(lr_interval_of(step[i], (int64_t)node->span, scale), (int64_t)node->span, scale);
        lr_take(nodes, node->children[0], scale, step, n, out, frame);
        break;
    case LR_SHIFT:
        lr_take_shifted(nodes, node, scale, step, n, out, frame);
        break;
    case LR_STRETCH:
        lr_take(nodes, node->children[0], lr_bounded_scale(scale * node->init), step, n, out, frame);
        break;
    default: /* LR_MAP_... */
        lr_take(nodes, node->children[0], scale, step, n, out, frame);
        lr_map_all(node->kind, node->shape, n, out);
        break;
    }
}

#endif
