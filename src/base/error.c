/* Error codes in words, and each thread's last failure in a sentence.
 * SPDX-License-Identifier: MIT */
#include "mp/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"

struct error_row {
    int code;              /* MP_E... */
    const char *name;      /* its identifier */
    const char *exception; /* Python's, "" where Python has none */
    const char *sentence;  /* what it means */
};

static const struct error_row error_rows[] = {
#define ERROR_ROW(name, value, exception, sentence) {value, #name, exception, sentence},
    MP_ERROR_TABLE(ERROR_ROW)
#undef ERROR_ROW
};

static _Thread_local char detail[512];

static const struct error_row *find_row(int code) {
    for (size_t i = 0; i < sizeof error_rows / sizeof error_rows[0]; i++)
        if (error_rows[i].code == code)
            return &error_rows[i];
    return NULL;
}

/* glibc knows the numbers up to 133; nothing above a page is ever an errno. */
static bool is_errno(int code) {
    return code < 0 && code > -4096;
}

const char *mp_strerror(int code) {
    static _Thread_local char text[128];
    const struct error_row *row = find_row(code);
    if (row)
        return row->sentence;
    if (code >= 0)
        return "success";
    if (!is_errno(code))
        return "unknown error code";
    snprintf(text, sizeof text, "%s", strerror(-code));
    return text;
}

const char *mp_error_name(int code) {
    const struct error_row *row = find_row(code);
    if (row)
        return row->name;
    if (code >= 0)
        return "0";
    const char *name = is_errno(code) ? strerrorname_np(-code) : NULL;
    return name ? name : "?";
}

const char *mp_error_exception(int code) {
    const struct error_row *row = find_row(code);
    if (row)
        return row->exception;
    return is_errno(code) ? "OSError" : "";
}

const char *mp_error_detail(void) {
    return detail;
}

const char *mp_version_string(void) {
#define TEXT_OF(x) #x
#define VERSION_TEXT(major, minor, patch) TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)
    return VERSION_TEXT(MP_VERSION_MAJOR, MP_VERSION_MINOR, MP_VERSION_PATCH);
}

int mp__fail(int code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    if (is_errno(code) && length >= 0 && (size_t)length < sizeof detail)
        snprintf(detail + length, sizeof detail - (size_t)length, ": %s", mp_strerror(code));
    return code;
}
