/* What the kernels compute with: pairs of doubles, powers of two and their logarithm.
 *
 * (a) Same bits everywhere.  Only + - * / and sqrt are used, each correctly rounded by IEEE 754, and polynomials of our
 *     own; no call of libm, no fused multiply-add (build with -ffp-contract=off).
 * (b) Polynomials are summed by Estrin's scheme: Horner's chain of dependent operations filled the schedulers and took
 *     1.00 against 0.79 ns a value (cosine), 2.04 against 1.63 ns (exponential).
 * (c) -fno-trapping-math and -fno-math-errno change no value; without them GCC keeps selects and sqrt scalar
 *     (1.9 against 0.8 ns a value of the square-root decay).
 *
 * Polynomials come from bench/fit_polynomials.py, which prints them with their errors.  u is 2^-53 throughout.
 */
#ifndef LRCORE_ARITHMETIC_H
#define LRCORE_ARITHMETIC_H

#if defined(__linux__)
#include <features.h> /* defines __GLIBC__, which the guard of LR_CLONES reads */
#endif
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(_MSC_VER)
#define LR_INLINE static __forceinline
#define LR_RESTRICT __restrict
#else
#define LR_INLINE static inline __attribute__((always_inline))
#define LR_RESTRICT restrict
#endif

/* One body for each level of x86-64, chosen when the module is loaded.  The names v4 and v3 need GCC 12; without glibc
 * there is no ifunc, and clang's clones do not link everywhere: these take the plain build, which gives the same bits. */
#if !defined(LRCORE_NO_FMV) && defined(__x86_64__) && defined(__ELF__) && defined(__linux__) && defined(__GLIBC__) \
    && defined(__GNUC__) && __GNUC__ >= 12 && !defined(__clang__)
#define LR_HAS_CLONES 1
#define LR_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define LR_HAS_CLONES 0
#define LR_CLONES
#endif

/* ---- Bits, and arithmetic with twice the precision (Dekker, Knuth: exact without a fused multiply-add) ---- */

LR_INLINE double lr_from_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

LR_INLINE uint64_t lr_to_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

LR_INLINE double lr_min(double a, double b) { return a < b ? a : b; }
LR_INLINE double lr_max(double a, double b) { return a > b ? a : b; }
LR_INLINE double lr_clamp(double value, double low, double high) { return lr_min(lr_max(value, low), high); }

typedef struct {
    double hi, lo; /* the number is hi + lo, with |lo| at most half an ulp of hi */
} lr_pair;

LR_INLINE lr_pair lr_two_sum(double a, double b)
{
    double sum = a + b, of_b = sum - a;
    lr_pair r = {sum, (a - (sum - of_b)) + (b - of_b)};
    return r;
}

LR_INLINE lr_pair lr_two_prod(double a, double b)
{
    const double splitter = 134217729.0; /* 2^27 + 1 cuts 53 bits into 26 and 26 */
    double ca = splitter * a, cb = splitter * b;
    double ah = ca - (ca - a), al = a - ah;
    double bh = cb - (cb - b), bl = b - bh;
    double product = a * b;
    lr_pair r = {product, ((ah * bh - product) + ah * bl + al * bh) + al * bl};
    return r;
}

/* For |a| >= |b|, or a = 0. */
LR_INLINE lr_pair lr_quick_sum(double a, double b)
{
    double sum = a + b;
    lr_pair r = {sum, b - (sum - a)};
    return r;
}

LR_INLINE lr_pair lr_pair_times(lr_pair a, lr_pair b)
{
    lr_pair p = lr_two_prod(a.hi, b.hi);
    return lr_quick_sum(p.hi, p.lo + (a.hi * b.lo + a.lo * b.hi));
}

LR_INLINE lr_pair lr_pair_over(lr_pair a, lr_pair b)
{
    double inverse = 1.0 / b.hi, q = a.hi * inverse;
    lr_pair p = lr_two_prod(q, b.hi);
    return lr_quick_sum(q, (((a.hi - p.hi) - p.lo) + (a.lo - q * b.lo)) * inverse);
}

LR_INLINE lr_pair lr_pair_of(double value)
{
    lr_pair r = {value, 0.0};
    return r;
}

/* ---- Powers of two and their logarithm ---- */

static const lr_pair LR_LOG2_E = {0x1.71547652b82fep+0, 0x1.777d0ffda0d24p-56};
static const lr_pair LR_TWO_LOG2_E = {0x1.71547652b82fep+1, 0x1.777d0ffda0d24p-55};

/* 2^r - 1 for |r| <= 0.501, as r times a polynomial of degree 10 with relative error 2.1e-17. */
LR_INLINE double lr_exp2_minus_1(double r)
{
    double r2 = r * r, r4 = r2 * r2;
    double low = (0x1.62e42fefa39efp-1 + r * 0x1.ebfbdff82c599p-3)
                 + r2 * (0x1.c6b08d704a0c3p-5 + r * 0x1.3b2ab6fba1cf2p-7);
    double high = ((0x1.5d87fe78a4b73p-10 + r * 0x1.43091309ac87ap-13)
                   + r2 * (0x1.ffcbfc69e4d83p-17 + r * 0x1.62bfd3bef4460p-20))
                  + r4 * ((0x1.b524f3884e1e1p-24 + r * 0x1.e607af948bdb8p-28) + r2 * 0x1.e9e12afc31f58p-32);
    return r * (low + r4 * high);
}

/* Adding 1.5 * 2^52 rounds to an integer, to even, and leaves it in the low bits as a two's complement. */
#define LR_ROUNDER 0x1.8p52

/* 2^(hi + lo) as (1 + minus_1) * 2^k, k in the low bits of `rounded`. hi - k is exact. */
typedef struct {
    double minus_1, rounded;
} lr_power_of_2;

LR_INLINE lr_power_of_2 lr_exp2_parts(double hi, double lo)
{
    double rounded = (hi + lo) + LR_ROUNDER;
    lr_power_of_2 r = {lr_exp2_minus_1((hi - (rounded - LR_ROUNDER)) + lo), rounded};
    return r;
}

/* For |k| < 1000. */
LR_INLINE double lr_joined(lr_power_of_2 p) { return lr_from_bits(lr_to_bits(1.0 + p.minus_1) + (lr_to_bits(p.rounded) << 52)); }

/* 1 - 2^(...), accurate where that is close to 1. */
LR_INLINE double lr_complement(lr_power_of_2 p) { return p.rounded == LR_ROUNDER ? -p.minus_1 : 1.0 - lr_joined(p); }

LR_INLINE double lr_exp2(double hi, double lo) { return lr_joined(lr_exp2_parts(hi, lo)); }

/* Any exponent as one below 1000 and a scale of 2^+-600: 2^(hi + lo) = scale * 2^(exponent). Multiplying by the scale is
 * exact, or underflows to what is right, subnormal numbers and 0 included; or overflows. */
typedef struct {
    lr_pair exponent;
    double scale;
} lr_wide;

LR_INLINE lr_wide lr_wide_exponent(double hi, double lo)
{
    double sum = hi + lo;
    int small = sum < -900.0, large = sum > 900.0, inside = sum > -1500.0 && sum < 1500.0;
    double shift = small ? 600.0 : (large ? -600.0 : 0.0);
    lr_wide r = {{(inside ? hi : lr_clamp(sum, -1500.0, 1500.0)) + shift, inside ? lo : 0.0},
                 small ? 0x1p-600 : (large ? 0x1p600 : 1.0)};
    return r;
}

/* Values end here: what grows beyond stays here, so that no sum or product of values is infinite or not a number. */
#define LR_LARGEST 1e300

LR_INLINE double lr_bounded(double value) { return lr_clamp(value, -LR_LARGEST, LR_LARGEST); }

/* factor * 2^(hi + lo) for any exponent, bounded. */
LR_INLINE double lr_scaled_exp2(double factor, double hi, double lo)
{
    lr_wide w = lr_wide_exponent(hi, lo);
    return lr_bounded((factor * lr_exp2(w.exponent.hi, w.exponent.lo)) * w.scale);
}

/* 2/ln 2 (1/3 + t/5 + ...) for t = s^2 <= 0.0295, degree 7, relative error 3.3e-18. */
static const lr_pair LR_ATANH_LEAD = {0x1.ec709dc3a03fdp-1, 0x1.b565b2df679a6p-55};

LR_INLINE double lr_atanh_rest(double t)
{
    double t2 = t * t;
    return (0x1.2776c50ef9c79p-1 + t * (0x1.a61762a783ca1p-2 + t * 0x1.484b1403f2fe2p-2))
           + (t2 * t) * ((0x1.0c9a6ddd6e5efp-2 + t * 0x1.c69c023b8677fp-3)
                         + t2 * (0x1.88011f3ed5583p-3 + t * 0x1.83143eadec578p-3));
}

/* log2(a / b) for positive a and b, as a pair, exact where a / b is a power of 2. `quotient` is a / b, roughly.  With
 * a / b = 2^k z, z in [sqrt(1/2), sqrt(2)): log2 z = 2/ln 2 atanh(s), s = (a - b 2^k) / (a + b 2^k), whose numerator is
 * exact. So the logarithm keeps its relative accuracy where a / b is close to 1.
 * `plain`: a and b <= 2^51 are integers, which makes the denominator exact, and an error of 2^-59 of the fraction will do;
 * otherwise it is 2^-64. */
LR_INLINE lr_pair lr_log2_of_ratio(double a, double b, double quotient, int plain)
{
    const uint64_t root_half = 0x3fe6a09e667f3bcdu;
    uint64_t biased = (lr_to_bits(quotient) - root_half + (1023ull << 52)) >> 52; /* k + 1023 */
    double k = lr_from_bits(biased | 0x4330000000000000u) - (0x1p52 + 1023.0);
    double c = b * lr_from_bits(biased << 52);

    lr_pair den = plain ? lr_pair_of(a + c) : lr_two_sum(a, c);
    double num = a - c, inverse = 1.0 / den.hi, s = num * inverse;
    lr_pair back = lr_two_prod(s, den.hi);
    double s_lo = (((num - back.hi) - back.lo) - s * den.lo) * inverse;

    double t = s * s, rest = t * lr_atanh_rest(t);
    lr_pair lead = lr_two_prod(s, LR_TWO_LOG2_E.hi);
    double low = lead.lo + (s * LR_TWO_LOG2_E.lo + s_lo * LR_TWO_LOG2_E.hi);
    if (plain) {
        low += s * (t * (LR_ATANH_LEAD.hi + rest));
    } else {
        lr_pair square = lr_two_prod(s, s);
        lr_pair cube = lr_pair_times(lr_pair_of(s), square);
        lr_pair third = lr_pair_times(cube, LR_ATANH_LEAD);
        lead = lr_quick_sum(lead.hi, third.hi);
        low += lead.lo + (third.lo + t * (s * rest + 3.0 * s_lo * LR_ATANH_LEAD.hi));
    }
    lr_pair sum = lr_quick_sum(k, lead.hi);
    return lr_quick_sum(sum.hi, sum.lo + low);
}

/* ---- Functions of any number, within 4 ulp. What no number can be stops at LR_LARGEST, as values do ---- */

#define LR_SMALLEST 1e-300 /* what is smaller counts as this where a logarithm is taken */

static const lr_pair LR_LN_2 = {0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56};

/* sin^2(pi/2 f) = f^2 (S0 + S1 f^2 + ...), |f| <= 1/2; S0 = (pi/2)^2; relative error 1.6e-17. */
static const lr_pair LR_SIN2_LEAD = {0x1.3bd3cc9be45dep+1, 0x1.692b71366cc04p-53};
static const double LR_SIN2_REST[7] = {-0x1.03c1f081b5a9fp+1, 0x1.55d3c7e3c9051p-1, -0x1.e1f5068620bcbp-4,
                                       0x1.a6d1f12b0bef2p-7, -0x1.f9d2c1f3b2167p-11, 0x1.b6a6feabe52e9p-15,
                                       -0x1.179a329ef4140p-19};

LR_INLINE double lr_sin2(double f)
{
    const double *r = LR_SIN2_REST;
    lr_pair q = lr_two_prod(f, f);
    double h = q.hi, h2 = h * h;
    double rest = (r[0] + h * (r[1] + h * r[2])) + (h2 * h) * ((r[3] + h * r[4]) + h2 * (r[5] + h * r[6]));
    return q.hi * LR_SIN2_LEAD.hi + (q.lo * LR_SIN2_LEAD.hi + q.hi * (LR_SIN2_LEAD.lo + h * rest));
}

/* (1 + cos(pi v)) / 2, for |v| < 2^52 by the nearest even number: 1 - sin^2 near that, sin^2 of the rest to 1 beyond a half. */
LR_INLINE double lr_half_cosine(double v)
{
    double half = lr_clamp(v * 0.5, -0x1p51, 0x1p51);
    double away = v - 2.0 * ((half + LR_ROUNDER) - LR_ROUNDER);
    double near = lr_min(away < 0.0 ? -away : away, 1.0);
    double sin2 = lr_sin2(near > 0.5 ? 1.0 - near : near);
    return near > 0.5 ? sin2 : 1.0 - sin2;
}

/* (1 - e) / (1 + e) with e = exp(-2 |v|) */
LR_INLINE double lr_tanh(double v)
{
    double size = lr_min(v < 0.0 ? -v : v, 32.0);
    lr_pair y = lr_two_prod(size, -LR_TWO_LOG2_E.hi);
    lr_power_of_2 e = lr_exp2_parts(y.hi, y.lo - size * LR_TWO_LOG2_E.lo);
    double tanh = lr_complement(e) / (1.0 + lr_joined(e));
    return v < 0.0 ? -tanh : tanh + 0.0; /* of 0 it is 0, not -0 */
}

LR_INLINE double lr_exp(double v)
{
    double held = lr_clamp(v, -2000.0, 2000.0);
    lr_pair y = lr_two_prod(held, LR_LOG2_E.hi);
    return lr_scaled_exp2(1.0, y.hi, y.lo + held * LR_LOG2_E.lo);
}

/* log2 of any number > 0, brought to where no product in lr_log2_of_ratio overflows or underflows. */
LR_INLINE lr_pair lr_log2(double v)
{
    double held = lr_clamp(v, LR_SMALLEST, LR_LARGEST);
    double shift = held > 0x1p500 ? 500.0 : (held < 0x1p-500 ? -500.0 : 0.0);
    double near = held * (held > 0x1p500 ? 0x1p-500 : (held < 0x1p-500 ? 0x1p500 : 1.0));
    lr_pair log2 = lr_log2_of_ratio(near, 1.0, near, 0), sum = lr_two_sum(shift, log2.hi);
    return lr_quick_sum(sum.hi, sum.lo + log2.lo);
}

LR_INLINE double lr_log(double v)
{
    lr_pair log = lr_pair_times(lr_log2(v), LR_LN_2);
    return log.hi + log.lo;
}

/* v^power for v > 0; a number below 0 counts as 0, of which a negative power is LR_LARGEST. */
LR_INLINE double lr_power_of(double v, double power)
{
    lr_pair log2_v = lr_log2(v), y = lr_two_prod(power, log2_v.hi);
    double found = lr_scaled_exp2(1.0, y.hi, y.lo + power * log2_v.lo);
    return v > 0.0 ? found : (power > 0.0 ? 0.0 : LR_LARGEST);
}

#endif
