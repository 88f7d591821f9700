/* mandelbrot.c: a picture by mp_pool_map, row by row, with a progress bar on the terminal.
 * SPDX-License-Identifier: MIT
 *
 * usage: mandelbrot [FILE.ppm [WIDTH]] */
#include <mp/context.h>
#include <mp/pool.h>
#include <mp/shared.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEPTH = 1000 }; /* steps until a point counts as one of the set */

struct row {
    int y, width, height; /* which one, of what picture */
};

struct pixel {
    unsigned char red, green, blue;
};

/* How many steps the point stays near 0. */
static int count_steps(double x, double y) {
    double real = 0, imaginary = 0;
    int steps = 0;
    for (; steps < DEPTH && real * real + imaginary * imaginary < 4; steps++) {
        double next = real * real - imaginary * imaginary + x;
        imaginary = 2 * real * imaginary + y;
        real = next;
    }
    return steps;
}

static int draw_row(const void *item, void *result, void *state) {
    (void)state;
    const struct row *row = item;
    struct pixel *pixels = result;
    double scale = 3.6 / row->width;
    for (int x = 0; x < row->width; x++) {
        int steps = count_steps(x * scale - 2.5, (row->y - row->height / 2) * scale);
        pixels[x] = (struct pixel){0};
        if (steps < DEPTH)
            pixels[x] = (struct pixel){(unsigned char)(steps * 5), (unsigned char)(steps * 9),
                                       (unsigned char)(64 + steps * 13)};
    }
    return 0;
}

static int write_picture(const char *name, const struct pixel *pixels, int width, int height) {
    FILE *file = fopen(name, "wb");
    if (!file)
        return -1;
    fprintf(file, "P6\n%d %d\n255\n", width, height);
    size_t written = fwrite(pixels, sizeof *pixels * (size_t)width, (size_t)height, file);
    return fclose(file) == 0 && written == (size_t)height ? 0 : -1;
}

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    const char *name = argc > 1 ? argv[1] : "mandelbrot.ppm";
    int width = argc > 2 ? atoi(argv[2]) : 600, height = width * 2 / 3;
    if (width < 3 || width > 20000)
        return fprintf(stderr, "usage: mandelbrot [FILE.ppm [WIDTH]]\n"), 2;

    /* In the family's memory: workers draw right into the picture. */
    struct pixel *pixels = mp_shared_calloc((size_t)width * (size_t)height, sizeof *pixels);
    struct row *rows = mp_shared_calloc((size_t)height, sizeof *rows);
    mp_pool *pool;
    if (!pixels || !rows || mp_pool_new(&pool, NULL, NULL) < 0)
        return fprintf(stderr, "%s\n", mp_error_detail()), 1;
    for (int y = 0; y < height; y++)
        rows[y] = (struct row){y, width, height};

    mp_map_options options = {.chunk = 1, .progress_bar = true};
    int code = mp_pool_map(pool, draw_row, rows, (size_t)height, sizeof *rows, pixels,
                           sizeof *pixels * (size_t)width, &options);
    mp_pool_free(pool);
    if (code < 0)
        return fprintf(stderr, "%s\n", mp_error_detail()), 1;
    if (write_picture(name, pixels, width, height) < 0)
        return perror(name), 1;

    long inside = 0;
    for (long i = 0; i < (long)width * height; i++)
        inside += pixels[i].red + pixels[i].green + pixels[i].blue == 0;
    printf("%s: %d x %d, %.1f %% of it in the set\n", name, width, height,
           100.0 * (double)inside / width / height);
    mp_shared_free(rows);
    mp_shared_free(pixels);
    return 0;
}
