/* A compiled schedule: a flat array of nodes, and the two walks over it.
 *
 * `lr_fill` evaluates consecutive steps.  It walks the tree once per range: a sequence cuts the range at its boundaries, a
 * cycle at its restarts, a staircase at its stairs, until what is left is one curve over a run of indices (_kernels.h).
 * `lr_take` evaluates scattered steps, a block at a time: what belongs to the same part is brought together, evaluated by
 * one loop, and put back.  A single value is a range of one, so there is no third place where a schedule is evaluated.
 *
 * Time scale.  `scale` says how much a node is stretched: a cycle stretches its inner schedule to the length of each
 * cycle, a sequence its parts to their stretched spans.  A duration d becomes lr_scaled(d, scale) updates, and a child
 * that must fill a span gets the exact ratio of that span to its own, so that rounding never leaves a gap or an overlap.
 *
 * The caller vouches for the nodes (_engine.pyx builds them from checked schedules): children come before their parents,
 * marks are sorted and begin with 0, steps lie in [0, 2^53).
 */
#ifndef LRCORE_PROGRAM_H
#define LRCORE_PROGRAM_H

#include "_kernels.h"

#define LR_BLOCK 512   /* steps evaluated together by lr_take, or by a product: 4 KiB of values, within the L1 cache */
#define LR_TILE 8192   /* steps filled together by lr_fill_all, so that a second pass (a clip, a product) finds them in L2 */
#define LR_FEW 8      /* parts that are told apart one by one */
#define LR_MAX_DEPTH 100 /* of nested nodes */

typedef struct {
    int32_t kind;
    int32_t child_count;
    const int32_t *children;
    double init, end; /* a curve's ends; factor of a scale or a stretch; min and max of a clip */
    double shape;     /* power, decay rate */
    double span;      /* steps, decay steps, period, stair, shift */
    int64_t mark_count;
    const int64_t *marks; /* boundaries of pieces and parts; restarts of a cycle (one more than there are cycles) */
    const void *data;     /* values of a table or of pieces */
    int64_t data_count;
    int32_t is_float;  /* the data are float32 */
    int32_t is_mirror; /* a cycle goes forward, then backward */
    int64_t count;     /* how many cycles; 0: endless */
    lr_curve curve;    /* prepared at scale 1 */
} lr_node;

typedef struct { /* scratch of one level of the tree; levels below use the frames behind it */
    double value[LR_BLOCK];
    double index[LR_BLOCK];
    int64_t step[LR_BLOCK];
    int32_t key[LR_BLOCK];
    int32_t order[2][LR_BLOCK];
} lr_frame;

/* ---- Durations under a time scale ---- */

#define LR_LAST_STEP ((1ll << 53) - 1)
#define LR_FAR_STEP (1ll << 60) /* later than any step */

/* To the nearest, half up. What lies below a half by no more than the rounding of a product is a half: 25 * 1.14 is 28.5. */
static int64_t lr_rounded(double duration)
{
    return duration < LR_NEVER ? (int64_t)(duration + 0.5 + lr_min(duration * 0x1p-50, 0.25)) : LR_FAR_STEP;
}

static int64_t lr_scaled(int64_t duration, double scale)
{
    return scale == 1.0 ? duration : lr_rounded((double)duration * scale);
}

/* Scales stay in a range in which every product of a duration and a scale is a number. */
static double lr_bounded_scale(double scale) { return lr_clamp(scale, 0x1p-60, 0x1p60); }

static int64_t lr_at_least_1(int64_t duration) { return duration < 1 ? 1 : duration; }

/* Stairs and cycles of one length are intervals of `unit` steps, stretched to no less than one: where number k begins, and
 * which number holds `step`. */
static int64_t lr_interval_begin(int64_t k, int64_t unit, double scale)
{
    return scale == 1.0 ? k * unit : lr_rounded((double)k * lr_max((double)unit * scale, 1.0));
}

static int64_t lr_interval_of(int64_t step, int64_t unit, double scale)
{
    if (scale == 1.0)
        return step / unit;
    int64_t k = (int64_t)(((double)step + 0.5) / lr_max((double)unit * scale, 1.0));
    while (k > 0 && lr_interval_begin(k, unit, scale) > step)
        k--;
    while (lr_interval_begin(k + 1, unit, scale) <= step)
        k++;
    return k;
}

/* Entry k of a table begins at k * scale, rounded; a table that is compressed leaves entries out. */
static int64_t lr_entry_of(int64_t step, int64_t last, double scale)
{
    if (scale == 1.0)
        return step < last ? step : last;
    double guess = ((double)step + 0.5) / scale;
    int64_t k = guess < (double)last ? (int64_t)guess : last;
    while (k > 0 && lr_scaled(k, scale) > step)
        k--;
    while (k < last && lr_scaled(k + 1, scale) <= step)
        k++;
    return k;
}

/* The last of `count` marks that is not after `step`; 0 if all are. */
static int64_t lr_mark_of(const int64_t *marks, int64_t count, double scale, int64_t step)
{
    int64_t at = 0;
    for (int64_t left = count; left > 1;) {
        int64_t half = left / 2;
        at += lr_scaled(marks[at + half], scale) <= step ? half : 0;
        left -= half;
    }
    return at;
}

static const lr_curve *lr_curve_of(const lr_node *node, double scale, lr_curve *room)
{
    if (scale == 1.0)
        return &node->curve;
    double span = node->span * scale;
    int is_whole = node->kind <= LR_LAST_ENDING || node->kind == LR_INVERSE_SQRT;
    if (is_whole && span < LR_NEVER)
        span = (double)lr_at_least_1(lr_rounded(span));
    lr_prepare(room, node->kind, node->init, node->end, span, node->shape);
    return room;
}

/* ---- Parts of a sequence, and cycles ---- */

typedef struct {
    int64_t number; /* which part or cycle */
    int64_t begin, end;
    double scale; /* of the child */
    int is_held;  /* the last cycle is over */
} lr_stage;

static lr_stage lr_part(const lr_node *node, double scale, int64_t number)
{
    lr_stage s = {number, lr_scaled(node->marks[number], scale), LR_FAR_STEP, scale, 0};
    if (number + 1 == node->mark_count)
        return s;
    s.end = lr_scaled(node->marks[number + 1], scale);
    if (scale != 1.0)
        s.scale = lr_bounded_scale((double)(s.end - s.begin) / (double)(node->marks[number + 1] - node->marks[number]));
    return s;
}

static int64_t lr_first_length(const lr_node *node) { return (int64_t)node->span * (node->is_mirror ? 2 : 1); }

/* The cycle without its scale. */
static lr_stage lr_cycle_bounds(const lr_node *node, double scale, int64_t step)
{
    lr_stage s;
    if (node->marks) {
        s.number = lr_mark_of(node->marks, node->mark_count - 1, scale, step);
        s.begin = lr_scaled(node->marks[s.number], scale);
        s.end = lr_scaled(node->marks[s.number + 1], scale);
    } else {
        int64_t period = lr_first_length(node);
        s.number = lr_interval_of(step, period, scale);
        if (node->count > 0 && s.number >= node->count)
            s.number = node->count - 1;
        s.begin = lr_interval_begin(s.number, period, scale);
        s.end = lr_interval_begin(s.number + 1, period, scale);
    }
    s.is_held = step >= s.end;
    s.scale = 1.0;
    return s;
}

static lr_stage lr_cycle(const lr_node *node, double scale, int64_t step)
{
    lr_stage s = lr_cycle_bounds(node, scale, step);
    int is_plain = s.is_held || (scale == 1.0 && !node->marks);
    if (!is_plain)
        s.scale = lr_bounded_scale((double)(s.end - s.begin) / (double)lr_first_length(node));
    return s;
}

/* Where in the inner schedule a cycle stands, `local` steps after its begin. The end that holds is the unstretched one, since
 * a squeezed cycle may have no update left. */
static int64_t lr_cycle_local(const lr_node *node, const lr_stage *cycle, int64_t local)
{
    int64_t length = cycle->end - cycle->begin;
    if (cycle->is_held)
        return node->is_mirror ? 0 : (int64_t)node->span;
    return node->is_mirror && 2 * local >= length ? length - local : local;
}

/* ---- Consecutive steps ---- */

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
    default: /* LR_STRETCH */
        lr_fill(nodes, node->children[0], lr_bounded_scale(scale * node->init), start, n, out, frame);
        break;
    }
}

/* ---- Scattered steps ---- */

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
    default: /* LR_STRETCH */
        lr_take(nodes, node->children[0], lr_bounded_scale(scale * node->init), step, n, out, frame);
        break;
    }
}

/* ---- The whole program: `root` at scale 1, in tiles and blocks ---- */

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
