/* The hook behind kill points, in the test build only.
 * SPDX-License-Identifier: MIT */
#include "base/point.h"

#ifdef MP__POINTS
mp__point_fn mp__point_hook;
#else
typedef int mp__point_is_off; /* an empty translation unit is not C */
#endif
