/* Random numbers as functions of a seed and a step: no state is left between two steps, so any step can be asked for first.
 *
 * (a) SplitMix64 (Steele, Lea and Flood, 2014) mixes seed and counter: some nanoseconds a number.
 * (b) The Mersenne Twister MT19937 (Matsumoto and Nishimura, 1998) as torch's CPU generator has it after
 *     manual_seed(seed + step): the numbers of a library that seeds it anew at each step.  Output i needs the words i, i + 1
 *     and i + 397 of the state, and each of its 624 words the one before.  So the first outputs take 413 words and not 624, and
 *     many seeds are seeded side by side, one to a lane: 1,900 ns a number one by one, 50 in a block (AVX-512, a busy core).
 * (c) A normal number beyond a bound is drawn again.  The numbers of a step have an end (LR_MOST_DRAWS): where none is within
 *     the bound, 0 stands.
 */
#ifndef LRCORE_RANDOM_H
#define LRCORE_RANDOM_H

#include "_arithmetic.h"

#define LR_MOST_DRAWS (1 << 15) /* at the least bound that Noise takes, 0.001, one step in 10^11 needs more */

LR_INLINE int lr_is_within(double value, double bound) { return value < bound && value > -bound; }

/* ---- SplitMix64 ---- */

LR_INLINE uint64_t lr_mixed(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

#define LR_GOLDEN 0x9e3779b97f4a7c15u

LR_INLINE uint64_t lr_split_state(uint64_t seed, uint64_t counter)
{
    return lr_mixed(seed + LR_GOLDEN) + 2u * counter * LR_GOLDEN;
}

/* A standard normal number, by Box and Muller's way (1958) from two uniform ones. */
LR_INLINE double lr_split_normal(uint64_t seed, uint64_t counter)
{
    uint64_t state = lr_split_state(seed, counter);
    double radius = (double)((lr_mixed(state + LR_GOLDEN) >> 11) + 1u) * 0x1p-53;
    double turn = (double)(lr_mixed(state + 2u * LR_GOLDEN) >> 11) * 0x1p-52;
    return sqrt(-2.0 * lr_log(radius)) * (2.0 * lr_half_cosine(turn) - 1.0);
}

/* In [-1, 1), a multiple of 2^-52. */
LR_INLINE double lr_split_uniform(uint64_t seed, uint64_t counter)
{
    return (double)(lr_mixed(lr_split_state(seed, counter) + LR_GOLDEN) >> 11) * 0x1p-52 - 1.0;
}

/* What stands for a number beyond the bound: the first within it of the seeds seed ^ lr_mixed(1), seed ^ lr_mixed(2), ... */
static double lr_split_redrawn(uint64_t seed, uint64_t counter, double bound)
{
    for (uint64_t draw = 1; draw < LR_MOST_DRAWS; draw++) {
        double value = lr_split_normal(seed ^ lr_mixed(draw), counter);
        if (lr_is_within(value, bound))
            return value;
    }
    return 0.0;
}

/* ---- MT19937: its words and outputs ---- */

#define LR_WORDS 624
#define LR_AHEAD 397

LR_INLINE uint32_t lr_next_word(uint32_t word, int32_t at) { return 1812433253u * (word ^ (word >> 30)) + (uint32_t)at; }

LR_INLINE uint32_t lr_twisted(uint32_t word, uint32_t after, uint32_t ahead)
{
    uint32_t mixed = (word & 0x80000000u) | (after & 0x7fffffffu);
    return ahead ^ (mixed >> 1) ^ ((after & 1u) * 0x9908b0dfu);
}

LR_INLINE uint32_t lr_tempered(uint32_t y)
{
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

typedef struct {
    uint32_t word[LR_WORDS];
    int32_t made, next; /* words that are seeded; the output that follows */
} lr_twister;

static void lr_twister_seed(lr_twister *t, uint32_t seed)
{
    t->word[0] = seed;
    t->made = 1;
    t->next = 0;
}

static uint32_t lr_twister_output(lr_twister *t)
{
    int32_t at = t->next, after = at + 1 < LR_WORDS ? at + 1 : 0;
    int32_t ahead = at + LR_AHEAD < LR_WORDS ? at + LR_AHEAD : at + LR_AHEAD - LR_WORDS;
    for (; t->made <= ahead; t->made++)
        t->word[t->made] = lr_next_word(t->word[t->made - 1], t->made);
    t->word[at] = lr_twisted(t->word[at], t->word[after], t->word[ahead]);
    t->next = after;
    return lr_tempered(t->word[at]);
}

#define LR_SEEDS 64
#define LR_OUTPUTS 32 /* of each: 16 normal numbers */

/* The first outputs of LR_SEEDS seeds. */
LR_CLONES static void lr_first_outputs(const uint32_t *LR_RESTRICT seed, uint32_t (*LR_RESTRICT out)[LR_SEEDS])
{
    uint32_t early[LR_OUTPUTS + 1][LR_SEEDS], word[LR_SEEDS];
    memcpy(early[0], seed, sizeof early[0]);
    for (int32_t at = 1; at <= LR_OUTPUTS; at++)
        for (int32_t lane = 0; lane < LR_SEEDS; lane++)
            early[at][lane] = lr_next_word(early[at - 1][lane], at);
    memcpy(word, early[LR_OUTPUTS], sizeof word);
    for (int32_t at = LR_OUTPUTS + 1; at < LR_AHEAD; at++)
        for (int32_t lane = 0; lane < LR_SEEDS; lane++)
            word[lane] = lr_next_word(word[lane], at);
    for (int32_t at = 0; at < LR_OUTPUTS; at++)
        for (int32_t lane = 0; lane < LR_SEEDS; lane++) {
            word[lane] = lr_next_word(word[lane], at + LR_AHEAD);
            out[at][lane] = lr_tempered(lr_twisted(early[at][lane], early[at + 1][lane], word[lane]));
        }
}

/* ---- Numbers of its outputs, as torch makes them ---- */

/* torch.rand of 24 bits, brought to [-1, 1). */
LR_INLINE double lr_twister_uniform(uint32_t output) { return (double)(int32_t)(output & 0xffffffu) * 0x1p-23 - 1.0; }

/* In [0, 1): 53 bits of two outputs. By halves of 32 bits, since int64 -> double does not vectorise. */
LR_INLINE double lr_unit(uint32_t high, uint32_t low)
{
    double units = lr_from_bits(low | 0x4330000000000000u) - 0x1p52;
    return (double)(int32_t)(high & 0x1fffffu) * 0x1p-21 + units * 0x1p-53;
}

typedef struct {
    double cosine, sine;
} lr_turned;

static const lr_pair LR_TWO_PI = {0x1.921fb54442d18p+2, 0x1.1a62633145c07p-52};

/* Of the angle 2 pi u as float64 has it, in full relative accuracy, by sin^2 of its distance to the nearest of the quarters
 * of the circle, in half circles. 2 sqrt(s (1 - s)) is the sine of a distance whose half has the squared sine s. */
LR_INLINE lr_turned lr_circle_at(double u)
{
    lr_pair angle = lr_two_prod(LR_TWO_PI.hi, u);
    double quarter = (4.0 * u + LR_ROUNDER) - LR_ROUNDER;
    double missing = (angle.lo + u * LR_TWO_PI.lo) * (2.0 / LR_TWO_PI.hi); /* of the angle that 2u half circles are */
    double away = (2.0 * u - 0.5 * quarter) - missing;
    double s = lr_sin2(away), sine = 2.0 * sqrt(s * (1.0 - s)), far = 1.0 - 2.0 * s;
    double near = away < 0.0 ? -sine : sine;
    int across = quarter == 1.0 || quarter == 3.0, back = quarter == 2.0 || quarter == 3.0;
    double cosine = across ? -near : far, along = across ? far : near;
    lr_turned r = {back ? -cosine : cosine, back ? -along : along};
    return r;
}

/* Two numbers of torch.randn, each rounded to float32, of four outputs. */
LR_INLINE lr_turned lr_twister_normals(uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    lr_turned at = lr_circle_at(lr_unit(a, b));
    double radius = sqrt(-2.0 * lr_log(1.0 - lr_unit(c, d)));
    lr_turned r = {(double)(float)(radius * at.cosine), (double)(float)(radius * at.sine)};
    return r;
}

/* The first normal number within the bound, from the begin. */
static double lr_twister_search(uint32_t seed, double bound)
{
    lr_twister t;
    lr_twister_seed(&t, seed);
    for (int32_t draw = 0; draw < LR_MOST_DRAWS; draw += 2) {
        uint32_t a = lr_twister_output(&t), b = lr_twister_output(&t), c = lr_twister_output(&t), d = lr_twister_output(&t);
        lr_turned normals = lr_twister_normals(a, b, c, d);
        if (lr_is_within(normals.cosine, bound))
            return normals.cosine;
        if (lr_is_within(normals.sine, bound))
            return normals.sine;
    }
    return 0.0;
}

/* The first of each two numbers where it is within the bound, else the second, which may not be. */
LR_CLONES static void lr_first_normals(const uint32_t (*LR_RESTRICT out)[LR_SEEDS], double bound, double *LR_RESTRICT values)
{
    for (int32_t lane = 0; lane < LR_SEEDS; lane++) {
        lr_turned normals = lr_twister_normals(out[0][lane], out[1][lane], out[2][lane], out[3][lane]);
        values[lane] = lr_is_within(normals.cosine, bound) ? normals.cosine : normals.sine;
    }
}

/* Goes on for a lane whose first two numbers are beyond the bound. */
static double lr_lane_search(const uint32_t (*out)[LR_SEEDS], int32_t lane, uint32_t seed, double bound)
{
    for (int32_t at = 4; at < LR_OUTPUTS; at += 4) {
        lr_turned normals = lr_twister_normals(out[at][lane], out[at + 1][lane], out[at + 2][lane], out[at + 3][lane]);
        if (lr_is_within(normals.cosine, bound))
            return normals.cosine;
        if (lr_is_within(normals.sine, bound))
            return normals.sine;
    }
    return lr_twister_search(seed, bound);
}

/* ---- Noise: blocks of steps ---- */

typedef struct {
    uint64_t seed;
    double bound; /* of normal numbers; HUGE_VAL where there is none */
    int is_twister, is_uniform;
} lr_noise;

LR_CLONES static void lr_split_normals(uint64_t seed, const uint64_t *LR_RESTRICT step, int32_t n, double *LR_RESTRICT out)
{
    for (int32_t i = 0; i < n; i++)
        out[i] = lr_split_normal(seed, step[i]);
}

LR_CLONES static void lr_split_uniforms(uint64_t seed, const uint64_t *LR_RESTRICT step, int32_t n, double *LR_RESTRICT out)
{
    for (int32_t i = 0; i < n; i++)
        out[i] = lr_split_uniform(seed, step[i]);
}

static void lr_split_block(const lr_noise *noise, const uint64_t *step, int32_t n, double *out)
{
    (noise->is_uniform ? lr_split_uniforms : lr_split_normals)(noise->seed, step, n, out);
    for (int32_t i = 0; i < n && !noise->is_uniform; i++)
        if (!lr_is_within(out[i], noise->bound))
            out[i] = lr_split_redrawn(noise->seed, step[i], noise->bound);
}

static double lr_twister_value(const lr_noise *noise, uint64_t step)
{
    lr_twister t;
    uint32_t seed = (uint32_t)(noise->seed + step);
    if (!noise->is_uniform)
        return lr_twister_search(seed, noise->bound);
    lr_twister_seed(&t, seed);
    return lr_twister_uniform(lr_twister_output(&t));
}

static void lr_twister_block(const lr_noise *noise, const uint64_t *step, int32_t n, double *out)
{
    uint32_t seed[LR_SEEDS], found[LR_OUTPUTS][LR_SEEDS];
    const uint32_t(*outputs)[LR_SEEDS] = (const uint32_t(*)[LR_SEEDS])found;
    double values[LR_SEEDS];
    for (int32_t i = 0; i < LR_SEEDS; i++)
        seed[i] = (uint32_t)(noise->seed + step[i < n ? i : 0]);
    lr_first_outputs(seed, found);
    if (!noise->is_uniform)
        lr_first_normals(outputs, noise->bound, values);
    for (int32_t i = 0; i < n; i++) {
        double value = noise->is_uniform ? lr_twister_uniform(outputs[0][i]) : values[i];
        int is_found = noise->is_uniform || lr_is_within(value, noise->bound);
        out[i] = is_found ? value : lr_lane_search(outputs, i, seed[i], noise->bound);
    }
}

#define LR_FEW_STEPS 4 /* fewer are drawn one by one in the time of a block of the twister */

/* At the steps `index`, or at base, base + 1, ... where there are none. */
static void lr_draw(const lr_noise *noise, double base, const double *index, int32_t n, double *out)
{
    uint64_t step[LR_SEEDS];
    for (int32_t run; n > 0; base += run, out += run, n -= run) {
        run = n < LR_SEEDS ? n : LR_SEEDS;
        for (int32_t i = 0; i < run; i++)
            step[i] = index ? (uint64_t)index[i] : (uint64_t)base + (uint64_t)i;
        index = index ? index + run : NULL;
        if (!noise->is_twister)
            lr_split_block(noise, step, run, out);
        else if (run >= LR_FEW_STEPS)
            lr_twister_block(noise, step, run, out);
        else
            for (int32_t i = 0; i < run; i++)
                out[i] = lr_twister_value(noise, step[i]);
    }
}

#endif
