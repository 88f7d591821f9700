/* Is this build instrumented? Some things must be done in another way then.
 * SPDX-License-Identifier: MIT */
#ifndef MP__OS_SANITIZER_H
#define MP__OS_SANITIZER_H

#if defined(__SANITIZE_THREAD__)
#define MP__UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MP__UNDER_TSAN 1
#endif
#endif

/* For a function that looks at memory which may be another one's by now, and believes nothing. */
#if defined(MP__UNDER_TSAN) && defined(__clang__)
#define MP__NO_TSAN __attribute__((no_sanitize("thread"), noinline))
#elif defined(MP__UNDER_TSAN)
#define MP__NO_TSAN __attribute__((no_sanitize_thread, noinline))
#else
#define MP__NO_TSAN
#endif

#endif
