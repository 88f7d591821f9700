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

#endif
