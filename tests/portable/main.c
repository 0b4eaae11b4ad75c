/* Evaluates every golden table, by both walks of the engine, and prints its SHA-256: one program, compiled for each
 * instruction set (see run). It needs memcpy, memset and puts, and nothing else of a C library. */
#include <stdio.h>

#include "_program.h"
#include "_smooth.h"
#include "sha256.h"

typedef struct {
    char *line; /* room for the 64 digits of the hash, a space, the name */
    lr_node *nodes;
    int32_t count;
    int64_t start, length;
} golden;

#include "goldens.h" /* written by export.py: the array `goldens`, SMOOTH_BETA, SMOOTH_LENGTH */

#define CHUNK 16384

static lr_frame frames[LR_MAX_DEPTH + 2];
static int64_t steps[CHUNK];
static double filled[CHUNK], taken[CHUNK];

static void prepare(const golden *g)
{
    for (lr_node *node = g->nodes; node < g->nodes + g->count; node++)
        if (node->kind <= LR_LAST_CURVE)
            lr_prepare(&node->curve, node->kind, node->init, node->end, node->span, node->shape);
}

/* Whether scattered evaluation gives the bits that are in `filled`. */
static int take_agrees(const golden *g, int64_t start, int64_t n)
{
    int agrees = 1;
    for (int64_t i = 0; i < n; i++)
        steps[i] = start + i;
    lr_take_doubles(g->nodes, g->count - 1, steps, n, taken, frames);
    for (int64_t i = 0; i < n; i++)
        agrees &= lr_to_bits(taken[i]) == lr_to_bits(filled[i]);
    return agrees;
}

static void check(const golden *g)
{
    sha256 hash;
    int agrees = 1;
    prepare(g);
    sha256_start(&hash);
    for (int64_t done = 0, run; done < g->length; done += run) {
        run = lr_least(CHUNK, g->length - done);
        lr_fill_doubles(g->nodes, g->count - 1, g->start + done, run, filled, frames);
        sha256_add(&hash, filled, (uint64_t)run * sizeof *filled);
        agrees &= take_agrees(g, g->start + done, run);
    }
    sha256_finish(&hash, g->line);
    puts(agrees ? g->line : "lr_take and lr_fill disagree");
}

static void check_smooth(void)
{
    static char line[] = "................................................................ smooth";
    static double losses[SMOOTH_LENGTH], averages[SMOOTH_LENGTH];
    sha256 hash;
    for (uint32_t i = 0; i < SMOOTH_LENGTH; i++)
        losses[i] = (double)(i * 2654435761u) / 0x1p32;
    lr_smoother smoother = lr_smoother_of(SMOOTH_BETA);
    lr_smooth_part(&smoother, losses, 0, SMOOTH_LENGTH, averages);
    lr_correct_bias(SMOOTH_BETA, 0, SMOOTH_LENGTH, averages);
    sha256_start(&hash);
    sha256_add(&hash, averages, sizeof averages);
    sha256_finish(&hash, line);
    puts(line);
}

static const char *active_clone(void)
{
#if LR_HAS_CLONES
    __builtin_cpu_init();
    if (__builtin_cpu_supports("x86-64-v4"))
        return "clone x86-64-v4";
    return __builtin_cpu_supports("x86-64-v3") ? "clone x86-64-v3" : "clone default";
#else
    return "clone none";
#endif
}

int main(void)
{
    puts(active_clone());
    for (const golden *g = goldens; g < goldens + sizeof goldens / sizeof *goldens; g++)
        check(g);
    check_smooth();
    return 0;
}
