/* Formats: how values are built and taken apart, for functions that take a format themselves.
 * SPDX-License-Identifier: MIT */
#ifndef MP__CODEC_BUILD_H
#define MP__CODEC_BUILD_H

#include <stdarg.h>

#include "mp/object.h"

/* As mp_object_build and mp_object_parse. `always_tuple`: also of one value or none, as arguments
 * of a call are; a format that is one pair of ( ) stays that. */
mp_object *mp__object_build(const char *format, va_list arguments, bool always_tuple);
int mp__object_parse(const mp_object *object, const char *format, va_list arguments);

#define MP__FORMAT_DEPTH 32 /* of brackets */

/* Skip what is only for the reader. */
static inline const char *mp__format_skip(const char *at) {
    while (*at == ' ' || *at == ',' || *at == ':' || *at == '\t')
        at++;
    return at;
}

#endif
