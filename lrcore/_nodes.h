/* The nodes of a compiled schedule, and time: durations under a scale, parts of a sequence, cycles.
 *
 * Time scale.  `scale` says how much a node is stretched: a cycle stretches its inner schedule to the length of each
 * cycle, a sequence its parts to their stretched spans.  A duration d becomes lr_scaled(d, scale) updates, and a child
 * that must fill a span gets the exact ratio of that span to its own, so that rounding never leaves a gap or an overlap.
 */
#ifndef LRCORE_NODES_H
#define LRCORE_NODES_H

#include "_kernels.h"

#define LR_BLOCK 512     /* steps evaluated together by lr_take, or by a product: 4 KiB of values, within the L1 cache */
#define LR_TILE 8192     /* steps filled together, so that a second pass (a clip, a scale) finds them in L2 */
#define LR_FEW 8         /* parts that are told apart one by one */
#define LR_MAX_DEPTH 60  /* of nested nodes: a repr has 3 parentheses a level, and Python reads at most 200 */

typedef struct {
    int32_t kind;
    int32_t child_count;
    const int32_t *children;
    double init, end; /* a curve's ends; factor of a scale or a stretch; min and max of a clip */
    double shape;     /* power, decay rate, seed */
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

/* To the nearest, half up. What lies below a half by no more than the rounding of a product is a half: 25 * 1.14 is 28.5.
 * From 2^52 on there are no halves. */
static int64_t lr_rounded(double duration)
{
    if (duration >= 0x1p52)
        return (int64_t)lr_min(duration, LR_NEVER);
    return (int64_t)(duration + 0.5 + lr_min(duration * 0x1p-50, 0.25));
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
    if (scale == 1.0 || (node->kind >= LR_NOISE && node->kind <= LR_TWISTER_UNIFORM)) /* noise has no duration */
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

#endif
