/* What a progress bar says, in how many columns.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <string.h>

#include "pool/bar.h"

static const struct mp__bar_figures half = {
    .done = 420, .total = 1000, .failed = 2, .elapsed = 42 * MP__SECOND};

static void expect_line(unsigned columns, const struct mp__bar_figures *figures,
                        const char *expected) {
    char line[MP__BAR_COLUMNS_MAX + 1];
    size_t length = mp__bar_format(line, columns, figures);
    assert_string_equal(line, expected);
    assert_int_equal(length, strlen(expected));
}

static void test_wide_line_says_everything(void **state) {
    (void)state;
    expect_line(79, &half,
                " 42%  [##############                     ]  420/1000  10/s  ETA 0:58  2 failed");
    expect_line(60, &half, " 42%  [######          ]  420/1000  10/s  ETA 0:58  2 failed");
}

static void test_narrow_line_leaves_out_what_matters_least(void **state) {
    (void)state;
    expect_line(45, &half, " 42%  420/1000  10/s  ETA 0:58  2 failed");
    expect_line(36, &half, " 42%  420/1000  ETA 0:58  2 failed");
    expect_line(31, &half, " 42%  420/1000  10/s  2 failed");
    expect_line(29, &half, " 42%  420/1000  2 failed");
    expect_line(14, &half, " 42%  2 failed");
    expect_line(13, &half, " 42%  10/s");
    expect_line(4, &half, " 42%");
    expect_line(3, &half, "");
    expect_line(0, &half, "");
}

static void test_no_line_is_longer_than_its_columns(void **state) {
    (void)state;
    struct mp__bar_figures figures[] = {half, half, half, {0}};
    char line[MP__BAR_COLUMNS_MAX + 1];
    figures[1].total = 0;
    figures[2] = (struct mp__bar_figures){UINT64_MAX, UINT64_MAX, UINT64_MAX, INT64_MAX, true};
    for (unsigned i = 0; i < 4; i++)
        for (unsigned columns = 0; columns < 400; columns++) {
            size_t length = mp__bar_format(line, columns, &figures[i]);
            assert_true(length <= columns && length <= MP__BAR_COLUMNS_MAX);
            assert_int_equal(length, strlen(line));
        }
}

static void test_beginning_and_end_have_no_time_left(void **state) {
    (void)state;
    struct mp__bar_figures none = {.total = 8, .elapsed = MP__SECOND};
    struct mp__bar_figures all = {
        .done = 8, .total = 8, .elapsed = 3725 * MP__SECOND, .is_over = true};
    expect_line(40, &none, "  0%  [                    ]  0/8  0.0/s");
    expect_line(44, &all, "100%  [############]  8/8  0.0/s  in 1:02:05");
}

static void test_unknown_total_is_left_out(void **state) {
    (void)state;
    struct mp__bar_figures figures = {.done = 123456, .elapsed = 10 * MP__SECOND};
    expect_line(79, &figures, "123456 done  12k/s  in 0:10");
    expect_line(20, &figures, "123456 done  in 0:10");
    expect_line(11, &figures, "123456 done");
    expect_line(10, &figures, "in 0:10");
}

static void test_large_numbers_get_units(void **state) {
    (void)state;
    struct mp__bar_figures figures = {
        .done = 50000000, .total = 1000000000000, .elapsed = 10 * MP__SECOND};
    expect_line(70, &figures,
                "  0%  [                ]  50000000/1000000000000  5.0M/s  ETA 55:33:10");
    figures.done = 1;
    expect_line(70, &figures,
                "  0%  [                      ]  1/1000000000000  0.1/s  ETA 11574 days");
}

/* clang-format off: one case a line */
MPT_MAIN(MPT_CASE(test_wide_line_says_everything),
         MPT_CASE(test_narrow_line_leaves_out_what_matters_least),
         MPT_CASE(test_no_line_is_longer_than_its_columns),
         MPT_CASE(test_beginning_and_end_have_no_time_left),
         MPT_CASE(test_unknown_total_is_left_out), MPT_CASE(test_large_numbers_get_units))
