/* A layer of spiking neurons, all timesteps at once, and its gradient.
 *
 *   h[t] = CHARGE(x[t], v[t-1]),  s[t] = h[t] >= threshold,  v[t] = RESET(h[t], s[t])
 *
 * x, s: [T][n], a row's neurons side by side; v: [n]. Neurons do not touch each other, so each thread takes a block of
 * them through all timesteps while it lies in its cache. Nothing but x and the first v is kept for the gradient, which
 * goes through the timesteps once more: a pass over memory costs more than the arithmetic. Beside each PIECE of a row
 * memory is asked for the same piece of the row that comes next, which the processor cannot guess.
 *
 * kernels.py defines what is special to a neuron, so that nothing is decided inside a loop:
 *   BFLOAT16      x and s are bfloat16; the state and all arithmetic are float all the same
 *   INTEGRATE     h = v + x
 *   LEAK          LEAK(a) is a/leak or a*leak: h = v + LEAK(x - (v - rest)) with DECAY_INPUT, v - LEAK(v - rest) + x without
 *   LEARNS_RATE   the gradient of the rate is wanted
 *   LATE_RESET    h = leak*v + x - threshold where v reached it, without a gradient; v = h
 *   HARD_RESET    v = reset where there was a spike; otherwise v = h - threshold there
 *   DETACH_RESET  no gradient flows through the spike of the reset
 *   SURROGATE     the statement that sets float g, the derivative, from u = h - threshold and the parameters p and q
 *
 * Every operation rounds as torch's does, one after another (so no -ffast-math, no fused multiply-add), which makes the
 * spikes equal in all bits.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef BFLOAT16
typedef uint16_t value;
static inline float load(value bits) {
    uint32_t wide = (uint32_t)bits << 16;
    float number;
    memcpy(&number, &wide, 4);
    return number;
}
static inline value store(float number) { /* to the nearest, ties to even */
    uint32_t wide;
    memcpy(&wide, &number, 4);
    uint32_t rounded = (wide + 0x7fffu + ((wide >> 16) & 1u)) >> 16;
    return number == number ? (value)rounded : (value)0x7fc0;
}
#else
typedef float value;
static inline float load(value number) { return number; }
static inline value store(float number) { return number; }
#endif

#define PIECE 64
#define LINE (64 / (int64_t)sizeof(value)) /* values of a cache line */
static inline void ask(const value *row) { /* for a piece to read; behind the end of x nothing happens */
    for (int64_t i = 0; i < PIECE; i += LINE) __builtin_prefetch(row + i);
}
static inline void ask_to_write(const value *row) {
    for (int64_t i = 0; i < PIECE; i += LINE) __builtin_prefetch(row + i, 1);
}
static inline int64_t piece(int64_t j, int64_t count) { return count - j < PIECE ? count - j : PIECE; }

/* The constants of a layer; `leak` is what LEAK takes, tau or 1/tau, or with LATE_RESET the share of v that is left. */
typedef struct {
    float threshold, reset, leak, p, q;
} constants;

/* e^x to about one unit in the last place, in a form that compilers vectorise. */
static inline float exponential(float x) {
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    float whole = rintf(x * 1.44269504f);
    float rest = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
    float sum = 1.9875691e-4f;
    sum = sum * rest + 1.3981999e-3f;
    sum = sum * rest + 8.3334519e-3f;
    sum = sum * rest + 4.1665796e-2f;
    sum = sum * rest + 1.6666665e-1f;
    sum = sum * rest + 0.5f;
    sum = sum * rest * rest + rest + 1.0f;
    uint32_t bits = ((uint32_t)(int32_t)whole + 127u) << 23;
    float power;
    memcpy(&power, &bits, 4);
    return sum * power;
}

static inline float fired(float h, constants c) { return h >= c.threshold ? 1.0f : 0.0f; }

static inline float charged(float x, float v, constants c) {
#if defined(INTEGRATE)
    return v + x;
#elif defined(LATE_RESET)
    return c.leak * v + x - c.threshold * fired(v, c);
#elif defined(DECAY_INPUT)
    return v + LEAK(x - (v - c.reset));
#else
    return v - LEAK(v - c.reset) + x;
#endif
}

static inline float left(float h, float s, constants c) {
#if defined(LATE_RESET)
    return h;
#elif defined(HARD_RESET)
    return s * c.reset + (1.0f - s) * h;
#else
    return h - s * c.threshold;
#endif
}

static inline float derivative(float u, float p, float q) {
    float g;
    SURROGATE
    return g;
}

/* One timestep of a piece: x and, in v, v[t-1] → s and, in v, v[t]. */
static void fire(const value *restrict x, value *restrict s, float *restrict v, int64_t count, constants c) {
    for (int64_t i = 0; i < count; i++) {
        float h = charged(load(x[i]), v[i], c);
        float spike = fired(h, c);
        s[i] = store(spike);
        v[i] = left(h, spike, c);
    }
}

/* x → s [T][n] and v [n] after the last step. `before` may be null: then all start at `start`. */
void forward(const value *x, const float *before, value *s, float *after, int64_t T, int64_t n, int64_t step,
             int64_t block, float start, constants c, int threads) {
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t from = 0; from < n; from += block) {
        int64_t count = n - from < block ? n - from : block;
        float *restrict v = after + from;
        for (int64_t i = 0; i < count; i++) v[i] = before ? before[from + i] : start;
        for (int64_t t = 0; t < T; t++) {
            const value *in = x + t * step + from, *next = t + 1 < T ? in + step : x + from + block;
            value *out = s + t * n + from, *next_out = t + 1 < T ? out + n : s + from + block;
            for (int64_t j = 0; j < count; j += PIECE) {
                ask(next + j);
                ask_to_write(next_out + j);
                fire(in + j, out + j, v + j, piece(j, count), c);
            }
        }
    }
}

/* One timestep of a piece: x and h[t-1], or the first v where `first` → h[t]. */
static void charge(const value *restrict x, const float *restrict last, int first, float *restrict now, int64_t count,
                   constants c) {
    if (first)
        for (int64_t i = 0; i < count; i++) now[i] = charged(load(x[i]), last[i], c);
    else
        for (int64_t i = 0; i < count; i++) now[i] = charged(load(x[i]), left(last[i], fired(last[i], c), c), c);
}

/* The h [T][count] of one block; `then` is the row that is read after x. */
static void replay(const value *x, const float *before, float *h, const value *then, int64_t T, int64_t count,
                   int64_t step, constants c) {
    for (int64_t t = 0; t < T; t++) {
        const value *in = x + t * step, *next = t + 1 < T ? in + step : then;
        const float *last = t ? h + (t - 1) * count : before;
        for (int64_t j = 0; j < count; j += PIECE) {
            ask(next + j);
            charge(in + j, last + j, t == 0, h + t * count + j, piece(j, count), c);
        }
    }
}

/* One timestep of a piece back: the gradient of s[t] and, in `carry`, of v[t] → of x[t] and, in `carry`, of v[t-1]. */
static void back(const float *restrict h, const value *restrict gs, value *restrict gx, float *restrict carry,
                 float *restrict g_h, int64_t count, float share, constants c) {
    for (int64_t i = 0; i < count; i++) {
        float slope = derivative(h[i] - c.threshold, c.p, c.q);
        float through;
#ifdef HARD_RESET
        through = 1.0f - fired(h[i], c);
#ifndef DETACH_RESET
        through += (c.reset - h[i]) * slope;
#endif
#else
        through = 1.0f;
#if !defined(DETACH_RESET) && !defined(LATE_RESET)
        through -= c.threshold * slope;
#endif
#endif
        float g = load(gs[i]) * slope + carry[i] * through;
#if defined(INTEGRATE)
        gx[i] = store(g);
        carry[i] = g;
#elif defined(LATE_RESET)
        gx[i] = store(g);
        carry[i] = g * c.leak;
#elif defined(DECAY_INPUT)
        gx[i] = store(g * share);
        carry[i] = g - g * share;
#else
        gx[i] = store(g);
        carry[i] = g - g * share;
#endif
#ifdef LEARNS_RATE
        g_h[i] = g;
#endif
    }
}

/* How h[t] changes with the rate, times the gradient of h[t], added to `sum`. `last` is h[t-1], or null at t = 0. */
static void rate(const value *restrict x, const float *restrict before, const float *restrict last,
                 const float *restrict g_h, float *restrict sum, int64_t count, constants c) {
    for (int64_t i = 0; i < count; i++) {
        float v = last ? left(last[i], fired(last[i], c), c) : before[i];
#ifdef DECAY_INPUT
        sum[i] += g_h[i] * (load(x[i]) - (v - c.reset));
#else
        sum[i] -= g_h[i] * (v - c.reset);
#endif
    }
}

static void add(const value *restrict g, float *restrict sum, int64_t count) {
    for (int64_t i = 0; i < count; i++) sum[i] += load(g[i]);
}

/* Gradients of s (rows `g_step` apart) and of the last v (or null) → of x (rows `out_step` apart; if that is 0, their
 * sum), of the first v (`g_before`, or null), and of the rate, one sum a block. Not 0 where there is no memory. */
int backward(const value *x, const float *before, const value *gs, const float *g_after, value *gx, float *g_before,
             double *g_rate, int64_t T, int64_t n, int64_t step, int64_t g_step, int64_t out_step, int64_t block, float start,
             float share, constants c, int threads) {
    int failed = 0;
#pragma omp parallel num_threads(threads) if (threads > 1) reduction(| : failed)
    {
        float *h = malloc(sizeof(float) * (size_t)(block * (T + 6)));
        failed |= h == NULL;
#pragma omp for schedule(static)
        for (int64_t from = 0; from < n; from += block) {
            if (h == NULL) continue;
            int64_t count = n - from < block ? n - from : block;
            float *v = h + T * block, *g_h = v + block, *sum = g_h + block, *total_x = sum + block;
            value *g_x = (value *)(total_x + block);
            float *restrict carry = g_before ? g_before + from : total_x + 2 * block;
            for (int64_t i = 0; i < count; i++) v[i] = before ? before[from + i] : start;
            for (int64_t i = 0; i < count; i++) carry[i] = g_after ? g_after[from + i] : 0.0f;
            for (int64_t i = 0; i < count; i++) sum[i] = total_x[i] = 0.0f;
            replay(x + from, v, h, gs + (T - 1) * g_step + from, T, count, step, c);
            for (int64_t t = T - 1; t >= 0; t--) {
                float *now = h + t * count;
                const value *g = gs + t * g_step + from, *next = t ? g - g_step : x + from + block;
                value *out = out_step ? gx + t * out_step + from : g_x;
                for (int64_t j = 0; j < count; j += PIECE) {
                    ask(next + j);
                    ask_to_write(out - (t ? out_step : 0) + j);
                    back(now + j, g + j, out + j, carry + j, g_h + j, piece(j, count), share, c);
                }
                if (!out_step) add(g_x, total_x, count);
#ifdef LEARNS_RATE
                rate(x + t * step + from, v, t ? now - count : NULL, g_h, sum, count, c);
#endif
            }
            if (!out_step)
                for (int64_t i = 0; i < count; i++) gx[from + i] = store(total_x[i]);
            if (g_rate) {
                double total = 0;
                for (int64_t i = 0; i < count; i++) total += sum[i];
                g_rate[from / block] = total;
            }
        }
        free(h);
    }
    return failed;
}
