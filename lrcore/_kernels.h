/* The curves of lrcore: one small scalar function a curve, the loops over them, and their preparation.
 *
 * (a) A loop over consecutive indices, a loop over scattered ones and a single value inline the same scalar function, so they
 *     agree bit for bit; and so do all machines, see _arithmetic.h.
 * (b) Halves.  Linear and cosine are evaluated from the nearer end: that end plus what the distance to it makes.  Both ends
 *     are then exact, values close to a zero end keep their relative accuracy, and rounding is monotone, so that no value can
 *     pass an end: no clamp is needed.
 * (c) Indices are an int32 ramp added to an exact double base, because int64 -> double does not vectorise below
 *     AVX-512DQ: 1.8 against 0.8 ns a value for the cosine.
 */
#ifndef LRCORE_KERNELS_H
#define LRCORE_KERNELS_H

#include "_random.h"

/* ---- A curve, prepared: what its loop needs and does not depend on the index ---- */

/* What a node can be; the curves come first, and of these first the ones that end. */
#define LR_KINDS(KIND) \
    KIND(CONSTANT) KIND(LINEAR) KIND(COSINE) KIND(ROOT) KIND(POWER) KIND(EXPONENTIAL) KIND(EXPONENTIAL_DECAY) \
    KIND(NATURAL_EXP_DECAY) KIND(INVERSE_TIME_DECAY) KIND(LINE) KIND(NOISE) KIND(NOISE_UNIFORM) KIND(TWISTER) \
    KIND(TWISTER_UNIFORM) KIND(INVERSE_SQRT) KIND(TABLE) KIND(PIECEWISE) KIND(SEQUENCE) KIND(CYCLE) KIND(PRODUCT) KIND(SUM) \
    KIND(SCALE) KIND(CLIP) KIND(STAIRCASE) KIND(SHIFT) KIND(STRETCH) KIND(MAP_COSINE) KIND(MAP_TANH) KIND(MAP_EXP) \
    KIND(MAP_LOG) KIND(MAP_SQRT) KIND(MAP_POWER)

#define LR_ENUMERATOR(NAME) LR_##NAME,
typedef enum { LR_KINDS(LR_ENUMERATOR) LR_KIND_COUNT } lr_kind;
#define LR_LAST_ENDING LR_EXPONENTIAL
#define LR_LAST_CURVE LR_INVERSE_SQRT

#define LR_NAME(NAME) #NAME,
static const char *const lr_kind_names[] = {LR_KINDS(LR_NAME)};

typedef struct {
    int32_t kind;
    double init, end; /* the values at index 0 and from `span` on */
    double low, high; /* the interval of both, or of all numbers */
    double span;      /* 2^60 where the curve never ends */
    double half;      /* the last index that is evaluated from init */
    double a, b;      /* see the curve's function */
    double rise[8];
    int tight;    /* rounding could pass an end: clamp the run (see lr_prepare) */
    int ordinary; /* the shorter kernel will do: see lr_cosine_at, lr_power_at, lr_exponential_at */
} lr_curve;

#define LR_NEVER 0x1p60

/* near + slope * x, x counted from the nearer end (negative before `end`). */
LR_INLINE double lr_line_at(double near, double slope, double x) { return near + slope * x; }

/* (end - init) sin^2(pi/2 * x/span), the half-angle form of the cosine's way from the nearer end, for |x| <= span/2: sin^2 is
 * a polynomial of degree 8 in (x/span)^2 without constant term (relative error 1.6e-17). `rise` holds its coefficients times
 * (end - init) / (a span)^(2k), with `a` the power of two that brings span near 1. For ends of one sign. */
LR_INLINE double lr_cosine_rise(const lr_curve *c, double x)
{
    const double *r = c->rise;
    double y = x * c->a, q = y * y, q2 = q * q;
    return q * (((r[0] + q * r[1]) + q2 * (r[2] + q * r[3])) + (q2 * q2) * ((r[4] + q * r[5]) + q2 * (r[6] + q * r[7])));
}

/* The same in pairs, b being what rise[0] misses: where ends of opposite signs cancel, the last bits matter. */
LR_INLINE lr_pair lr_precise_cosine_rise(const lr_curve *c, double x)
{
    const double *r = c->rise;
    double y = x * c->a;
    lr_pair q = lr_two_prod(y, y);
    double h = q.hi, h2 = h * h;
    double rest = (r[1] + h * (r[2] + h * r[3])) + (h2 * h) * ((r[4] + h * r[5]) + h2 * (r[6] + h * r[7]));
    return lr_pair_times(q, lr_quick_sum(r[0], c->b + h * rest));
}

LR_INLINE double lr_plus_pair(double near, double hi, double lo)
{
    lr_pair sum = lr_two_sum(near, hi);
    return sum.hi + (sum.lo + lo);
}

LR_INLINE double lr_precise_cosine_at(const lr_curve *c, double x, int far)
{
    lr_pair rise = lr_precise_cosine_rise(c, x);
    return far ? lr_plus_pair(c->end, -rise.hi, -rise.lo) : lr_plus_pair(c->init, rise.hi, rise.lo);
}

/* end + a sqrt(1 - x/span), a = init - end, b = 1/span: the polynomial decay of power 1/2, from the nearer end, for
 * |init| >= |end| of one sign. The square root takes longer than all the rest beside it. */
LR_INLINE double lr_root_at(const lr_curve *c, double x)
{
    double weight = sqrt((c->span - x) * c->b);
    return weight >= 0.5 ? c->init - c->a * (1.0 - weight) : c->end + c->a * weight;
}

/* end + (init - end) (1 - x/span)^a for any power a, b = 1/span; 0 < x < span.
 * `ordinary` says that span <= 2^51, that no weight is below 2^-512 and that the ends have one sign. Then the weights of both
 * ends, each accurate by itself (a curve that rises from 0 is 1 - weight there), do as plain numbers: 3 ulp off at most, in
 * 40,000 steps of powers up to 60. Otherwise all is done in pairs: 12 against 6.8 ns a value. */
LR_INLINE double lr_power_at(const lr_curve *c, double x, int ordinary)
{
    double rest = c->span - x;
    lr_pair log2_rest = lr_log2_of_ratio(rest, c->span, rest * c->b, ordinary);
    lr_pair y = lr_two_prod(c->a, log2_rest.hi);
    y.lo += c->a * log2_rest.lo;
    if (ordinary) {
        lr_power_of_2 weight = lr_exp2_parts(y.hi, y.lo);
        return lr_clamp(lr_complement(weight) * c->end + lr_joined(weight) * c->init, c->low, c->high);
    }
    lr_wide wide = lr_wide_exponent(y.hi, y.lo);
    lr_power_of_2 parts = lr_exp2_parts(wide.exponent.hi, wide.exponent.lo), unit = {0.0, parts.rounded};
    lr_pair weight = lr_quick_sum(1.0, parts.minus_1);
    weight.hi *= lr_joined(unit) * wide.scale;
    weight.lo *= lr_joined(unit) * wide.scale;
    lr_pair above_end = lr_pair_times(lr_two_sum(c->init, -c->end), weight);
    return lr_clamp(lr_plus_pair(c->end, above_end.hi, above_end.lo), c->low, c->high);
}

/* init * 2^((a + b) x), a + b the logarithm of the factor of one step. Where it is at least 2^-33, so that x < 2^44 while the
 * value is a number (`ordinary`), a is a multiple of 2^-42: a x is exact below 2^11, and b x small. */
LR_INLINE double lr_exponential_at(const lr_curve *c, double x) { return c->init * lr_exp2(x * c->a, x * c->b); }
LR_INLINE double lr_any_exponential_at(const lr_curve *c, double x)
{
    return lr_scaled_exp2(c->init, x * c->a, x * c->b);
}

/* The same for steps so small that x may have 53 bits: a is the logarithm, b what it misses, and a x a pair. */
LR_INLINE double lr_slow_exponential_at(const lr_curve *c, double x)
{
    lr_pair y = lr_two_prod(x, c->a);
    return lr_scaled_exp2(c->init, y.hi, y.lo + x * c->b);
}

/* init / (1 + a x) */
LR_INLINE double lr_inverse_time_at(const lr_curve *c, double x) { return c->init / (1.0 + x * c->a); }

/* init * sqrt(a / x), init up to x = a */
LR_INLINE double lr_inverse_sqrt_at(const lr_curve *c, double x) { return c->init * sqrt(c->a / lr_max(x, c->a)); }

/* init + (end - init) x/a, for any x, rounded once: b is 1/a, rise[0] + rise[1] is end - init. */
LR_INLINE double lr_line_through(const lr_curve *c, double x)
{
    double q = x * c->b;
    lr_pair back = lr_two_prod(q, c->a), rise = {c->rise[0], c->rise[1]};
    lr_pair way = lr_pair_times(lr_quick_sum(q, ((x - back.hi) - back.lo) * c->b), rise);
    return lr_bounded(lr_plus_pair(c->init, way.hi, way.lo));
}

/* ---- Loops: `run` over the indices base, base + 1, ..., `each` over scattered ones ---- */

#define LR_RUN(NAME, VALUE)                                                                        \
    LR_CLONES static void NAME(const lr_curve *curve, double base, int32_t n, double *LR_RESTRICT out) \
    {                                                                                              \
        const lr_curve c = *curve;                                                                 \
        for (int32_t i = 0; i < n; i++) {                                                          \
            double x = base + (double)i;                                                           \
            out[i] = VALUE;                                                                        \
        }                                                                                          \
    }

LR_RUN(lr_line_run_init, lr_line_at(c.init, c.a, x))
LR_RUN(lr_line_run_end, lr_line_at(c.end, c.a, x))
LR_RUN(lr_cosine_run_init, c.init + lr_cosine_rise(&c, x))
LR_RUN(lr_cosine_run_end, c.end - lr_cosine_rise(&c, x))
LR_RUN(lr_precise_cosine_run_init, lr_precise_cosine_at(&c, x, 0))
LR_RUN(lr_precise_cosine_run_end, lr_precise_cosine_at(&c, x, 1))
LR_RUN(lr_root_run, lr_root_at(&c, x))
LR_RUN(lr_power_run, lr_power_at(&c, x, 1))
LR_RUN(lr_any_power_run, lr_power_at(&c, x, 0))
LR_RUN(lr_exponential_run, lr_exponential_at(&c, x))
LR_RUN(lr_any_exponential_run, lr_any_exponential_at(&c, x))
LR_RUN(lr_slow_exponential_run, lr_slow_exponential_at(&c, x))
LR_RUN(lr_inverse_time_run, lr_inverse_time_at(&c, x))
LR_RUN(lr_line_through_run, lr_line_through(&c, x))
LR_RUN(lr_inverse_sqrt_run, lr_inverse_sqrt_at(&c, x))

#define LR_EACH(NAME, VALUE)                                                                       \
    LR_CLONES static void NAME(const lr_curve *curve, const double *LR_RESTRICT index, int32_t n,  \
                               double *LR_RESTRICT out)                                            \
    {                                                                                              \
        const lr_curve c = *curve;                                                                 \
        for (int32_t i = 0; i < n; i++) {                                                          \
            double x = index[i];                                                                   \
            out[i] = VALUE;                                                                        \
        }                                                                                          \
    }

LR_INLINE double lr_line_any(const lr_curve *c, double x)
{
    double held = lr_min(x, c->span);
    int far = held > c->half;
    return lr_line_at(far ? c->end : c->init, c->a, far ? held - c->span : held);
}

LR_INLINE double lr_cosine_any(const lr_curve *c, double x)
{
    double held = lr_min(x, c->span);
    int far = held > c->half;
    double rise = lr_cosine_rise(c, far ? held - c->span : held);
    return far ? c->end - rise : c->init + rise;
}

LR_INLINE double lr_precise_cosine_any(const lr_curve *c, double x)
{
    double held = lr_min(x, c->span);
    int far = held > c->half;
    return lr_precise_cosine_at(c, far ? held - c->span : held, far);
}

/* An index inside of a curve that has an exact value at both ends; `x` outside is replaced by 1 and not used. */
LR_INLINE double lr_inside(const lr_curve *c, double x) { return (x > 0.0 && x < c->span) ? x : 1.0; }

LR_INLINE double lr_with_ends(const lr_curve *c, double x, double value)
{
    double clamped = lr_clamp(value, c->low, c->high);
    return x <= 0.0 ? c->init : (x >= c->span ? c->end : clamped);
}

LR_EACH(lr_line_each, lr_line_any(&c, x))
LR_EACH(lr_cosine_each, lr_cosine_any(&c, x))
LR_EACH(lr_precise_cosine_each, lr_precise_cosine_any(&c, x))
LR_EACH(lr_root_each, lr_with_ends(&c, x, lr_root_at(&c, lr_inside(&c, x))))
LR_EACH(lr_power_each, lr_with_ends(&c, x, lr_power_at(&c, lr_inside(&c, x), 1)))
LR_EACH(lr_any_power_each, lr_with_ends(&c, x, lr_power_at(&c, lr_inside(&c, x), 0)))
LR_EACH(lr_any_exponential_each, lr_with_ends(&c, x, lr_any_exponential_at(&c, lr_inside(&c, x))))
LR_EACH(lr_slow_exponential_each, lr_with_ends(&c, x, lr_slow_exponential_at(&c, lr_inside(&c, x))))
LR_EACH(lr_inverse_time_each, lr_inverse_time_at(&c, x))
LR_EACH(lr_line_through_each, lr_line_through(&c, x))
LR_EACH(lr_inverse_sqrt_each, lr_inverse_sqrt_at(&c, x))

/* Loops of the walks in _fill.h and _take.h, cloned like the curves. */

LR_CLONES static void lr_put(double value, int64_t n, double *LR_RESTRICT out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = value;
}

LR_CLONES static void lr_scale_all(double factor, int64_t n, double *LR_RESTRICT out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = lr_bounded(out[i] * factor);
}

LR_CLONES static void lr_clip_all(double low, double high, int64_t n, double *LR_RESTRICT out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = lr_clamp(out[i], low, high);
}

LR_CLONES static void lr_multiply_all(const double *LR_RESTRICT by, int64_t n, double *LR_RESTRICT out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = lr_bounded(out[i] * by[i]);
}

LR_CLONES static void lr_add_all(const double *LR_RESTRICT more, int64_t n, double *LR_RESTRICT out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = lr_bounded(out[i] + more[i]);
}

/* A function of each value, by the kind of its node. */

#define LR_MAP(NAME, VALUE)                                                                        \
    LR_CLONES static void NAME(double power, int64_t n, double *LR_RESTRICT out)                   \
    {                                                                                              \
        (void)power;                                                                               \
        for (int64_t i = 0; i < n; i++) {                                                          \
            double v = out[i];                                                                     \
            out[i] = VALUE;                                                                        \
        }                                                                                          \
    }

LR_MAP(lr_map_cosine, lr_half_cosine(v))
LR_MAP(lr_map_tanh, lr_tanh(v))
LR_MAP(lr_map_exp, lr_exp(v))
LR_MAP(lr_map_log, lr_log(v))
LR_MAP(lr_map_sqrt, sqrt(lr_max(v, 0.0)))
LR_MAP(lr_map_power, lr_power_of(v, power))

static void lr_map_all(int32_t kind, double power, int64_t n, double *out)
{
    switch (kind) {
    case LR_MAP_COSINE:
        lr_map_cosine(power, n, out);
        break;
    case LR_MAP_TANH:
        lr_map_tanh(power, n, out);
        break;
    case LR_MAP_EXP:
        lr_map_exp(power, n, out);
        break;
    case LR_MAP_LOG:
        lr_map_log(power, n, out);
        break;
    case LR_MAP_SQRT:
        lr_map_sqrt(power, n, out);
        break;
    default: /* LR_MAP_POWER */
        lr_map_power(power, n, out);
        break;
    }
}

/* Exact for 0 <= steps < 2^53; by two 32-bit halves, since int64 -> double does not vectorise (note c). */
LR_CLONES static void lr_to_double_all(const int64_t *LR_RESTRICT steps, int64_t n, double *LR_RESTRICT out)
{
    for (int64_t i = 0; i < n; i++) {
        uint64_t s = (uint64_t)steps[i];
        double high = lr_from_bits((s >> 32) | 0x4530000000000000u) - 0x1p84;
        double low = lr_from_bits((s & 0xffffffffu) | 0x4330000000000000u) - 0x1p52;
        out[i] = high + low;
    }
}

LR_CLONES static void lr_to_float_all(const double *LR_RESTRICT in, int64_t n, float *LR_RESTRICT out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = (float)lr_clamp(in[i], -0x1.fffffep127, 0x1.fffffep127); /* the largest float32 */
}

LR_CLONES static void lr_from_float_all(const float *LR_RESTRICT in, int64_t n, double *LR_RESTRICT out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = (double)in[i];
}

/* a is the seed, b the bound. */
static void lr_noise_at(const lr_curve *c, double base, const double *index, int32_t n, double *out)
{
    int is_uniform = c->kind == LR_NOISE_UNIFORM || c->kind == LR_TWISTER_UNIFORM;
    lr_noise noise = {(uint64_t)c->a, c->b, c->kind >= LR_TWISTER, is_uniform};
    lr_draw(&noise, base, index, n, out);
}

/* ---- Preparation ---- */

/* (end - init) / span, rounded once. */
static double lr_slope(double init, double end, double span)
{
    lr_pair rise = lr_two_sum(end, -init);
    lr_pair slope = lr_pair_over(rise, lr_pair_of(span));
    return slope.hi + slope.lo;
}

static void lr_prepare_cosine(lr_curve *c)
{
    uint64_t exponent = lr_to_bits(c->span) >> 52;
    double unit = lr_from_bits((2045ull - exponent) << 52); /* span * unit lies in [1/2, 1) */
    lr_pair square = lr_two_prod(c->span * unit, c->span * unit);
    lr_pair rise = lr_two_sum(c->end, -c->init);
    lr_pair first = lr_pair_over(lr_pair_times(rise, LR_SIN2_LEAD), square); /* the product does not wait for the span */
    double inverse = 1.0 / square.hi, scale = rise.hi * inverse;
    c->a = unit;
    c->ordinary = c->init * c->end >= 0.0;
    c->rise[0] = first.hi; /* rounded once: it carries most of the error */
    c->b = first.lo;
    for (int k = 1; k < 8; k++) {
        scale *= inverse;
        c->rise[k] = LR_SIN2_REST[k - 1] * scale;
    }
}

/* An upper bound of log2. */
static double lr_bits_of(double positive) { return (double)((int64_t)(lr_to_bits(positive) >> 52) - 1022); }

/* Cuts the logarithm of the factor of one step into the parts a and b of its kernel. */
static void lr_prepare_exponential(lr_curve *c, lr_pair log2_step)
{
    const double grid = 0x1.8p10; /* adding it rounds to a multiple of 2^-42 */
    c->ordinary = log2_step.hi >= 0x1p-33 || log2_step.hi <= -0x1p-33;
    c->a = c->ordinary ? (log2_step.hi + grid) - grid : log2_step.hi;
    c->b = (log2_step.hi - c->a) + log2_step.lo;
}

/* Both ends apart by less than rounding, so that a value may pass one: below this step of log2, or above this span. The
 * bounds are far on the safe side, for a clamp that is not needed changes nothing. */
#define LR_TIGHT_STEP 0x1p-40
#define LR_TIGHT_SPAN 0x1p40

/* `span` is in updates, whole for the curves that end; `shape` is the power, the rate, the seed, or nothing; `end` of noise is
 * its bound, or 0. */
static void lr_prepare(lr_curve *c, int32_t kind, double init, double end, double span, double shape)
{
    c->kind = kind;
    c->tight = c->ordinary = 0;
    c->a = c->b = 0.0;
    c->init = init;
    c->end = end;
    int ends = kind <= LR_LAST_ENDING;
    c->low = ends ? lr_min(init, end) : -HUGE_VAL;
    c->high = ends ? lr_max(init, end) : HUGE_VAL;
    c->span = ends ? span : LR_NEVER;
    c->half = span < LR_NEVER ? (double)((int64_t)span / 2) : span / 2.0;
    switch (kind) {
    case LR_LINEAR:
        c->a = lr_slope(init, end, span);
        break;
    case LR_COSINE:
        lr_prepare_cosine(c);
        break;
    case LR_ROOT:
        c->a = init - end;
        c->b = 1.0 / span;
        c->tight = span > LR_TIGHT_SPAN;
        break;
    case LR_POWER:
        c->a = shape;
        c->b = 1.0 / span;
        c->ordinary = span <= 0x1p51 && shape * lr_bits_of(span) <= 512.0 && init * end >= 0.0;
        break;
    case LR_EXPONENTIAL:
        lr_prepare_exponential(c, lr_pair_over(lr_log2_of_ratio(end, init, end / init, 0), lr_pair_of(span)));
        c->tight = c->a > -LR_TIGHT_STEP && c->a < LR_TIGHT_STEP;
        break;
    case LR_EXPONENTIAL_DECAY:
        lr_prepare_exponential(c, lr_pair_over(lr_log2_of_ratio(shape, 1.0, shape, 0), lr_pair_of(span)));
        break;
    case LR_NATURAL_EXP_DECAY:
        lr_prepare_exponential(c, lr_pair_over(lr_pair_times(lr_pair_of(-shape), LR_LOG2_E), lr_pair_of(span)));
        break;
    case LR_INVERSE_TIME_DECAY:
        c->a = shape / span;
        break;
    case LR_LINE: {
        lr_pair rise = lr_two_sum(end, -init);
        c->a = span;
        c->b = 1.0 / span;
        c->rise[0] = rise.hi;
        c->rise[1] = rise.lo;
        break;
    }
    case LR_NOISE:
    case LR_NOISE_UNIFORM:
    case LR_TWISTER:
    case LR_TWISTER_UNIFORM:
        c->a = shape;
        c->b = end > 0.0 ? end : HUGE_VAL;
        lr_noise_at(c, 0.0, NULL, 1, &c->init);
        break;
    case LR_INVERSE_SQRT:
        c->a = span;
        break;
    }
}

/* ---- One entry for all curves ---- */

#define LR_STEADY_EXPONENT 600.0 /* where lr_scaled_exp2 neither widens nor bounds anything */
#define LR_LAST_EXPONENT 1500.0  /* where lr_wide_exponent clamps, beyond all numbers */

typedef void (*lr_run)(const lr_curve *, double, int32_t, double *);

static void lr_exponential_range(const lr_curve *c, double base, int32_t n, double *out)
{
    double log2_step = c->a + c->b, first = base * log2_step, last = (base + (double)n) * log2_step;
    int steady = last < LR_STEADY_EXPONENT && last > -LR_STEADY_EXPONENT;
    lr_run any = c->ordinary ? lr_any_exponential_run : lr_slow_exponential_run;
    if (first < -LR_LAST_EXPONENT || first > LR_LAST_EXPONENT) { /* all 0, or all at the bound */
        any(c, base, 1, out);
        lr_put(out[0], n, out);
        return;
    }
    (c->ordinary && steady ? lr_exponential_run : any)(c, base, n, out);
}

/* A curve evaluated in two halves: `before` up to index `half`, `after` beyond it, counted back from the end. */
static void lr_halves_range(const lr_curve *c, double base, int32_t n, double *out, lr_run before, lr_run after)
{
    double count = lr_clamp(c->half + 1.0 - base, 0.0, (double)n);
    int32_t first = (int32_t)count;
    if (first > 0)
        before(c, base, first, out);
    if (first < n)
        after(c, base + count - c->span, n - first, out + first);
}

static void lr_inner_range(const lr_curve *c, double base, int32_t n, double *out)
{
    switch (c->kind) {
    case LR_LINEAR:
        lr_halves_range(c, base, n, out, lr_line_run_init, lr_line_run_end);
        break;
    case LR_COSINE:
        if (c->ordinary)
            lr_halves_range(c, base, n, out, lr_cosine_run_init, lr_cosine_run_end);
        else
            lr_halves_range(c, base, n, out, lr_precise_cosine_run_init, lr_precise_cosine_run_end);
        break;
    case LR_ROOT:
        lr_root_run(c, base, n, out);
        break;
    case LR_POWER:
        (c->ordinary ? lr_power_run : lr_any_power_run)(c, base, n, out);
        break;
    case LR_EXPONENTIAL:
    case LR_EXPONENTIAL_DECAY:
    case LR_NATURAL_EXP_DECAY:
        lr_exponential_range(c, base, n, out);
        break;
    case LR_INVERSE_TIME_DECAY:
        lr_inverse_time_run(c, base, n, out);
        break;
    case LR_LINE:
        lr_line_through_run(c, base, n, out);
        break;
    case LR_NOISE:
    case LR_NOISE_UNIFORM:
    case LR_TWISTER:
    case LR_TWISTER_UNIFORM:
        lr_noise_at(c, base, NULL, n, out);
        break;
    case LR_INVERSE_SQRT:
        lr_inverse_sqrt_run(c, base, n, out);
        break;
    default: /* a curve that has no loop yet is not taken for another */
        lr_put(NAN, n, out);
        break;
    }
    if (c->tight)
        lr_clip_all(c->low, c->high, n, out);
}

/* The curve at start, start + 1, ...; n < 2^31. */
static void lr_curve_range(const lr_curve *c, int64_t start, int32_t n, double *out)
{
    if (c->kind == LR_CONSTANT) {
        lr_put(c->init, n, out);
        return;
    }
    int64_t span = (int64_t)lr_min(c->span, LR_NEVER);
    int64_t inner = start < span ? span - start : 0;
    int32_t held = inner < n ? n - (int32_t)inner : 0;
    lr_put(c->end, held, out + (n - held));
    n -= held;
    if (n > 0 && start == 0) {
        *out++ = c->init;
        start++, n--;
    }
    if (n > 0)
        lr_inner_range(c, (double)start, n, out);
}

/* The curve at scattered indices, each exact in double. */
static void lr_curve_each(const lr_curve *c, const double *index, int32_t n, double *out)
{
    switch (c->kind) {
    case LR_CONSTANT:
        lr_put(c->init, n, out);
        break;
    case LR_LINEAR:
        lr_line_each(c, index, n, out);
        break;
    case LR_COSINE:
        (c->ordinary ? lr_cosine_each : lr_precise_cosine_each)(c, index, n, out);
        break;
    case LR_ROOT:
        lr_root_each(c, index, n, out);
        break;
    case LR_POWER:
        (c->ordinary ? lr_power_each : lr_any_power_each)(c, index, n, out);
        break;
    case LR_EXPONENTIAL:
    case LR_EXPONENTIAL_DECAY:
    case LR_NATURAL_EXP_DECAY:
        (c->ordinary ? lr_any_exponential_each : lr_slow_exponential_each)(c, index, n, out);
        break;
    case LR_INVERSE_TIME_DECAY:
        lr_inverse_time_each(c, index, n, out);
        break;
    case LR_LINE:
        lr_line_through_each(c, index, n, out);
        break;
    case LR_NOISE:
    case LR_NOISE_UNIFORM:
    case LR_TWISTER:
    case LR_TWISTER_UNIFORM:
        lr_noise_at(c, 0.0, index, n, out);
        break;
    case LR_INVERSE_SQRT:
        lr_inverse_sqrt_each(c, index, n, out);
        break;
    default:
        lr_put(NAN, n, out);
        break;
    }
}

#endif
