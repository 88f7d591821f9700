/* Kill points: places where a test makes a process die, stop or wait.
 * SPDX-License-Identifier: MIT
 *
 * Put one behind every store into the arena that matters: MP__POINT("queue.put.copied"). In the
 * library that users get it is nothing; the test build (MP__POINTS) calls a hook that a test
 * installs. */
#ifndef MP__BASE_POINT_H
#define MP__BASE_POINT_H

#ifdef MP__POINTS
typedef void (*mp__point_fn)(const char *name);
extern mp__point_fn mp__point_hook; /* NULL: nothing happens; inherited by fork, not by exec */
#define MP__POINT(name)                                                                            \
    do {                                                                                           \
        if (__builtin_expect(mp__point_hook != 0, 0))                                              \
            mp__point_hook(name);                                                                  \
    } while (0)
#else
#define MP__POINT(name)                                                                            \
    do {                                                                                           \
    } while (0)
#endif

#endif
