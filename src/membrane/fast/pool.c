/* Max pool over windows that lie side by side, and its gradient, with the largest value's place in its window in a byte.
 *
 *   y[o] = max of x over the window of o,  gx = g[o] at the first of the largest values, 0 elsewhere
 *
 * max_pool.py defines the window, HEIGHT × WIDTH, and BFLOAT16 where values are bfloat16. Like torch's, a NaN is the
 * largest value, and of several the last one. x: images [n][H][W][lane]; lanes are the channels of a position, where
 * they lie side by side, else 1. Each thread takes whole rows of windows, so no two write to one place.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef BFLOAT16
typedef uint16_t value;
static inline float load(value bits) {
    uint32_t wide = (uint32_t)bits << 16;
    float number;
    memcpy(&number, &wide, 4);
    return number;
}
#else
typedef float value;
static inline float load(value number) { return number; }
#endif

#define CHUNK 256 /* windows whose largest values stay in the innermost cache */

/* One row of windows of which each value has `lanes` of its own. `place` may be null: then only y is wanted. */
static void row(const value *restrict x, value *restrict y, uint8_t *restrict place, int64_t W, int64_t windows,
                int64_t lanes) {
    uint8_t unwanted[CHUNK];
    for (int64_t o = 0; o < windows; o++)
        for (int64_t from = 0; from < lanes; from += CHUNK) {
            int64_t count = lanes - from < CHUNK ? lanes - from : CHUNK;
            const value *restrict in = x + o * WIDTH * lanes + from;
            value *restrict most = y + o * lanes + from;
            uint8_t *restrict first = place ? place + o * lanes + from : unwanted;
            for (int64_t i = 0; i < count; i++) {
                value best = in[i];
                int32_t which = 0;
#pragma GCC unroll 16
                for (int k = 1; k < HEIGHT * WIDTH; k++) {
                    value other = in[(k / WIDTH * W + k % WIDTH) * lanes + i];
                    int more = (load(other) > load(best)) | (load(other) != load(other));
                    best = more ? other : best;
                    which = more ? k : which;
                }
                most[i] = best;
                first[i] = (uint8_t)which;
            }
        }
}

/* The largest of each `WIDTH` values side by side, and which of them it is. */
static void across(const value *restrict x, value *restrict most, int32_t *restrict which, int64_t count) {
    for (int64_t o = 0; o < count; o++) most[o] = x[o * WIDTH];
    for (int64_t o = 0; o < count; o++) which[o] = 0;
    for (int b = 1; b < WIDTH; b++)
        for (int64_t o = 0; o < count; o++) {
            value other = x[o * WIDTH + b];
            int more = (load(other) > load(most[o])) | (load(other) != load(other));
            most[o] = more ? other : most[o];
            which[o] = more ? b : which[o];
        }
}

/* A row of `count` windows, from the largest values of its `HEIGHT` lines and their places in these. */
static void down(const value *restrict most, const int32_t *restrict which, value *restrict y, int32_t *restrict first,
                 int64_t count) {
    for (int64_t o = 0; o < count; o++) y[o] = most[o];
    for (int64_t o = 0; o < count; o++) first[o] = which[o];
    for (int a = 1; a < HEIGHT; a++)
        for (int64_t o = 0; o < count; o++) {
            value other = most[a * count + o];
            int more = (load(other) > load(y[o])) | (load(other) != load(other));
            y[o] = more ? other : y[o];
            first[o] = more ? a * WIDTH + which[a * count + o] : first[o];
        }
}

/* The same of few windows, whose loop is unrolled: images end small. */
static inline __attribute__((always_inline)) void down_few(const value *restrict most, const int32_t *restrict which,
                                                           value *restrict y, int32_t *restrict first, int64_t count) {
    for (int64_t o = 0; o < count; o++) {
        value best = most[o];
        int32_t place = which[o];
        for (int a = 1; a < HEIGHT; a++) {
            value other = most[a * count + o];
            int more = (load(other) > load(best)) | (load(other) != load(other));
            best = more ? other : best;
            place = more ? a * WIDTH + which[a * count + o] : place;
        }
        y[o] = best;
        first[o] = place;
    }
}

#define FOR_FEW(function, ...)                      \
    if (count == 2) function(__VA_ARGS__, 2);       \
    else if (count == 4) function(__VA_ARGS__, 4);  \
    else if (count == 8) function(__VA_ARGS__, 8);  \
    else function(__VA_ARGS__, count)
#define FEW 16

/* `rows` rows of windows of single values, CHUNK windows at most if they are several. */
static void narrow_rows(const value *restrict x, value *restrict y, uint8_t *restrict place, int64_t W,
                        int64_t windows, int64_t rows) {
    value most[HEIGHT * CHUNK];
    int32_t which[HEIGHT * CHUNK], first[CHUNK];
    for (int64_t from = 0; from < windows; from += CHUNK) {
        int64_t count = windows - from < CHUNK ? windows - from : CHUNK;
        if (HEIGHT == 1)
            across(x + from * WIDTH, y + from, first, rows * count);
        else if (rows > 1)
            across(x, most, which, rows * HEIGHT * windows);
        else
            for (int a = 0; a < HEIGHT; a++) across(x + a * W + from * WIDTH, most + a * count, which + a * count, count);
        for (int64_t r = 0; r < rows && HEIGHT > 1; r++) {
            int64_t lines = r * HEIGHT * count;
            value *to = y + from + r * windows;
            if (count >= FEW) {
                down(most + lines, which + lines, to, first + r * count, count);
            } else {
                FOR_FEW(down_few, most + lines, which + lines, to, first + r * count);
            }
        }
        if (place)
            for (int64_t o = 0; o < rows * count; o++) place[from + o] = (uint8_t)first[o];
    }
}

/* The number of rows of windows of single values that are taken at once. */
static int64_t together(int64_t W, int64_t windows) {
    return W % WIDTH || windows > CHUNK ? 1 : CHUNK / windows;
}

void forward(const value *x, value *y, uint8_t *place, int64_t n, int64_t H, int64_t W, int64_t lanes, int threads) {
    int64_t rows = H / HEIGHT, windows = W / WIDTH, step = lanes == 1 ? together(W, windows) : 1;
    int64_t groups = (rows + step - 1) / step;
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t at = 0; at < n * groups; at++) {
        int64_t image = at / groups, first = at % groups * step, count = rows - first < step ? rows - first : step;
        int64_t from = (image * H + first * HEIGHT) * W * lanes, to = (image * rows + first) * windows * lanes;
        uint8_t *places = place ? place + to : NULL;
        if (lanes == 1)
            narrow_rows(x + from, y + to, places, W, windows, count);
        else
            row(x + from, y + to, places, W, windows, lanes);
    }
}

/* The gradient of one row of x, the `a`-th of its windows. */
static void spread(const value *restrict g, const uint8_t *restrict place, value *restrict gx, int a, int64_t windows,
                   int64_t lanes) {
    for (int64_t o = 0; o < windows; o++)
        for (int b = 0; b < WIDTH; b++) {
            value *restrict out = gx + (o * WIDTH + b) * lanes;
            uint8_t here = (uint8_t)(a * WIDTH + b);
            for (int64_t i = 0; i < lanes; i++) out[i] = place[o * lanes + i] == here ? g[o * lanes + i] : 0;
        }
}

/* The gradients of a row's `count` windows for each of its `HEIGHT` lines, and their places in these. */
static inline __attribute__((always_inline)) void up(const value *restrict g, const uint8_t *restrict place,
                                                     value *restrict g_lines, int32_t *restrict which, int64_t count) {
    for (int a = 0; a < HEIGHT; a++)
        for (int64_t o = 0; o < count; o++) {
            int32_t at = (int32_t)place[o] - a * WIDTH;
            g_lines[a * count + o] = (at >= 0) & (at < WIDTH) ? g[o] : 0;
            which[a * count + o] = at;
        }
}

/* The gradients of a line's windows at their largest values, whose places in the line begin at `here`. */
static void along(const value *restrict g, const int32_t *restrict which, value *restrict gx, int here, int64_t count) {
    for (int64_t o = 0; o < count; o++)
#pragma GCC unroll 8
        for (int b = 0; b < WIDTH; b++) gx[o * WIDTH + b] = which[o] == here + b ? g[o] : 0;
}

/* The same of `rows` rows of windows of single values, as `narrow_rows` takes them. */
static void narrow_spread(const value *restrict g, const uint8_t *restrict place, value *restrict gx, int64_t W,
                          int64_t windows, int64_t rows) {
    value lines[HEIGHT * CHUNK];
    int32_t which[HEIGHT * CHUNK];
    for (int64_t from = 0; from < windows; from += CHUNK) {
        int64_t count = windows - from < CHUNK ? windows - from : CHUNK;
        for (int64_t r = 0; r < rows; r++) {
            int64_t at = from + r * windows, to = r * HEIGHT * count;
            if (count >= FEW) {
                for (int64_t o = 0; o < count; o++) which[o] = place[at + o];
                for (int a = 0; a < HEIGHT; a++)
                    along(g + at, which, gx + (r * HEIGHT + a) * W + from * WIDTH, a * WIDTH, count);
            } else {
                FOR_FEW(up, g + at, place + at, lines + to, which + to);
            }
        }
        if (count >= FEW) continue;
        if (rows > 1)
            along(lines, which, gx, 0, rows * HEIGHT * windows);
        else
            for (int a = 0; a < HEIGHT; a++)
                along(lines + a * count, which + a * count, gx + a * W + from * WIDTH, 0, count);
    }
}

void backward(const value *g, const uint8_t *place, value *gx, int64_t n, int64_t H, int64_t W, int64_t lanes,
              int threads) {
    int64_t rows = H / HEIGHT, windows = W / WIDTH, line = W * lanes, covered = windows * WIDTH * lanes;
    int64_t step = lanes == 1 ? together(W, windows) : 1;
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t image = 0; image < n; image++) {
        const value *from = g + image * rows * windows * lanes;
        const uint8_t *places = place + image * rows * windows * lanes;
        value *out = gx + image * H * line;
        for (int64_t r = 0; r < rows && lanes == 1; r += step)
            narrow_spread(from + r * windows, places + r * windows, out + r * HEIGHT * W, W, windows,
                          rows - r < step ? rows - r : step);
        for (int64_t h = 0; h < H; h++, out += line) {
            int64_t of = h / HEIGHT * windows * lanes, kept = h / HEIGHT < rows ? covered : 0;
            if (lanes > 1 && kept) spread(from + of, places + of, out, (int)(h % HEIGHT), windows, lanes);
            if (kept < line) memset(out + kept, 0, sizeof(value) * (size_t)(line - kept));
        }
    }
}
