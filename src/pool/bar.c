/* Progress bars: what stands in the line, and who may write it.
 * SPDX-License-Identifier: MIT
 *
 *      42% [########            ] 420/1000  1.2k/s  ETA 0:03  2 failed
 *
 * A carriage return, the line, and blanks over what was longer before: that works on every terminal
 * and in one write. */
#include "pool/bar.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/terminal.h"

#define PAUSE (MP__SECOND / 10) /* between two drawings */
enum { BAR_MIN = 8, BAR_MAX = 40, PIECE_MAX = 48 };

enum piece { PERCENT, COUNT, RATE, TIME, FAILED, PIECE_COUNT };

typedef char piece_text[PIECE_MAX];

static struct mp__bar *_Atomic owner; /* whose line it is; of this process and its forks */

static void write_rate(char *out, double rate) {
    static const char units[] = "\0kMGT";
    unsigned unit = 0;
    for (; rate >= 999.5 && unit < 4; unit++)
        rate /= 1000;
    snprintf(out, PIECE_MAX, rate < 9.95 ? "%.1f%.1s/s" : "%.0f%.1s/s", rate, &units[unit]);
}

static void write_time(char *out, const char *word, double seconds) {
    unsigned long whole = seconds < 1e9 ? (unsigned long)seconds : 1000000000;
    if (whole >= 360000)
        snprintf(out, PIECE_MAX, "%s %lu days", word, whole / 86400);
    else if (whole >= 3600)
        snprintf(out, PIECE_MAX, "%s %lu:%02lu:%02lu", word, whole / 3600, whole / 60 % 60,
                 whole % 60);
    else
        snprintf(out, PIECE_MAX, "%s %lu:%02lu", word, whole / 60, whole % 60);
}

static void write_count(char *out, const struct mp__bar_figures *figures) {
    if (figures->total > 0)
        snprintf(out, PIECE_MAX, "%llu/%llu", (unsigned long long)figures->done,
                 (unsigned long long)figures->total);
    else
        snprintf(out, PIECE_MAX, "%llu done", (unsigned long long)figures->done);
}

/* Empty: there is nothing to say. */
static void write_pieces(piece_text *pieces, const struct mp__bar_figures *figures) {
    double seconds = (double)figures->elapsed / (double)MP__SECOND;
    double rate = seconds > 0 ? (double)figures->done / seconds : 0;
    if (figures->total > 0)
        snprintf(pieces[PERCENT], PIECE_MAX, "%3u%%",
                 (unsigned)((double)figures->done * 100 / (double)figures->total));
    write_count(pieces[COUNT], figures);
    write_rate(pieces[RATE], rate);
    if (figures->is_over || figures->total == 0)
        write_time(pieces[TIME], "in", seconds);
    else if (figures->done > 0)
        write_time(pieces[TIME], "ETA", (double)(figures->total - figures->done) / rate);
    if (figures->failed > 0)
        snprintf(pieces[FAILED], PIECE_MAX, "%llu failed", (unsigned long long)figures->failed);
}

static size_t room_of(const char *piece) {
    return piece[0] ? strlen(piece) + 2 : 0;
}

/* The most important first: what does not fit any more becomes empty. Returns the columns left. */
static size_t choose_pieces(piece_text *pieces, size_t columns) {
    static const enum piece ranks[] = {PERCENT, FAILED, COUNT, TIME, RATE};
    columns += 2; /* behind the last one stands nothing */
    for (unsigned i = 0; i < PIECE_COUNT; i++) {
        char *piece = pieces[ranks[i]];
        if (room_of(piece) > columns)
            piece[0] = 0;
        columns -= room_of(piece);
    }
    return columns;
}

static size_t append(char *out, size_t length, const char *text) {
    size_t more = strlen(text);
    if (length > 0 && more > 0) {
        memcpy(out + length, "  ", 2);
        length += 2;
    }
    memcpy(out + length, text, more);
    return length + more;
}

static void write_bar(char *out, size_t width, const struct mp__bar_figures *figures) {
    size_t inner = width - 2;
    size_t filled = (size_t)((double)inner * (double)figures->done / (double)figures->total);
    out[0] = '[';
    memset(out + 1, '#', filled);
    memset(out + 1 + filled, ' ', inner - filled);
    memcpy(out + width - 1, "]", 2);
}

size_t mp__bar_format(char out[MP__BAR_COLUMNS_MAX + 1], unsigned columns,
                      const struct mp__bar_figures *figures) {
    piece_text pieces[PIECE_COUNT] = {{0}};
    char bar[BAR_MAX + 1] = "";
    size_t length = 0;
    if (columns > MP__BAR_COLUMNS_MAX)
        columns = MP__BAR_COLUMNS_MAX;
    write_pieces(pieces, figures);
    size_t left = choose_pieces(pieces, columns);
    if (figures->total > 0 && left >= BAR_MIN + 2)
        write_bar(bar, left - 2 < BAR_MAX ? left - 2 : BAR_MAX, figures);
    length = append(out, length, pieces[PERCENT]);
    length = append(out, length, bar);
    for (enum piece piece = COUNT; piece < PIECE_COUNT; piece++)
        length = append(out, length, pieces[piece]);
    out[length] = 0;
    return length;
}

struct mp__bar *mp__bar_new(uint64_t total) {
    struct mp__bar *bar = mp__terminal_columns(STDERR_FILENO) > 0 ? calloc(1, sizeof *bar) : NULL;
    if (!bar)
        return NULL;
    pthread_mutex_init(&bar->mutex, NULL);
    bar->began = mp__now();
    bar->figures.total = total;
    return bar;
}

/* The last column stays free: some terminals go to the next line when something stands there. */
static void write_line(struct mp__bar *bar) {
    char line[2 * MP__BAR_COLUMNS_MAX + 4] = "\r";
    unsigned columns = mp__terminal_columns(STDERR_FILENO);
    if (columns < 2)
        return;
    bar->figures.elapsed = mp__now() - bar->began;
    size_t length = mp__bar_format(line + 1, columns - 1, &bar->figures);
    size_t width = bar->width < columns ? bar->width : columns - 1;
    bar->width = length;
    while (length < width)
        line[1 + length++] = ' ';
    if (bar->figures.is_over)
        line[1 + length++] = '\n';
    mp__terminal_write(STDERR_FILENO, line, length + 1);
}

static bool is_owner(struct mp__bar *bar) {
    struct mp__bar *nobody = NULL;
    return atomic_compare_exchange_strong(&owner, &nobody, bar) || nobody == bar;
}

void mp__bar_draw(struct mp__bar *bar, uint64_t done, uint64_t total, uint64_t failed) {
    mp__time now = mp__now();
    pthread_mutex_lock(&bar->mutex);
    bar->figures.done = total > 0 && done > total ? total : done;
    bar->figures.total = total;
    bar->figures.failed = failed;
    if (!bar->figures.is_over && now - bar->began >= PAUSE && now - bar->drawn >= PAUSE &&
        is_owner(bar)) {
        bar->drawn = now;
        write_line(bar);
    }
    pthread_mutex_unlock(&bar->mutex);
}

void mp__bar_end(struct mp__bar *bar) {
    pthread_mutex_lock(&bar->mutex);
    bool is_first = !bar->figures.is_over;
    bar->figures.is_over = true;
    if (is_first && is_owner(bar)) {
        write_line(bar);
        atomic_store(&owner, NULL);
    }
    pthread_mutex_unlock(&bar->mutex);
}

void mp__bar_free(struct mp__bar *bar) {
    if (!bar)
        return;
    struct mp__bar *self = bar;
    atomic_compare_exchange_strong(&owner, &self, NULL);
    pthread_mutex_destroy(&bar->mutex);
    free(bar);
}
