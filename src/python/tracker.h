/* Python's resource tracker: started from the same executable as its children.
 * SPDX-License-Identifier: MIT */
#ifndef MP__PYTHON_TRACKER_H
#define MP__PYTHON_TRACKER_H

/* Note what is registered over this pipe until nobody writes to it any more, then unlink what is
 * left. Gives the exit code: 0; 1 there was some; 2 some could not be unlinked; 3 a line that is
 * none. */
int mp__tracker_run(int descriptor);

#endif
